//! The part of MiniJinja's language that templates of mails may use: variables, filters that do not make texts longer,
//! conditionals. Without loops, assignments and arithmetic on texts, what a template writes is bounded by its own
//! length and that of the lead's fields, so no template can use up the memory that it shares with other tenants.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, WhitespaceConfig, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

/// Filters that templates may use.
pub const FILTERS: [&str; 11] = [
    "fallback",
    "default",
    "d",
    "upper",
    "lower",
    "title",
    "capitalize",
    "trim",
    "length",
    "first",
    "date",
];

/// The most words and signs between `{{` and `}}` or `{%` and `%}`: each may nest all that is before it.
const WORDS_MAX: usize = 200;

/// How deep conditionals nest; an `elif` is one more.
const CONDITIONALS_MAX: usize = 40;

/// Says what a template uses that it may not; none when it is fine, or cannot be parsed at all. What has no refusal may be
/// parsed: the parser, and all that walks over what it makes, takes stack by how deep that nests.
pub fn refusal(source: &str) -> Option<String> {
    if let Some(reason) = too_deep(source) {
        return Some(reason);
    }
    let template = parse(
        source,
        "template",
        SyntaxConfig,
        WhitespaceConfig::default(),
    )
    .ok()?;
    statement(&template).err()
}

/// Says how a template nests too deep, by its tokens alone.
fn too_deep(source: &str) -> Option<String> {
    let tokens = tokenize(source, false, SyntaxConfig, WhitespaceConfig::default());
    // Conditionals that are open: 1 and their `elif`s, of each.
    let (mut open, mut depth) = (Vec::<usize>::new(), 0);
    let (mut block, mut words) = (false, 0);
    // Where the tokens end early, parsing ends as well.
    for (token, _) in tokens.map_while(Result::ok) {
        match token {
            Token::VariableStart | Token::TemplateData(_) => (block, words) = (false, 0),
            Token::BlockStart => (block, words) = (true, 0),
            Token::Ident("if") if block && words == 1 => {
                open.push(1);
                depth += 1;
            }
            Token::Ident("elif") if block && words == 1 => {
                open.iter_mut()
                    .next_back()
                    .into_iter()
                    .for_each(|n| *n += 1);
                depth += 1;
            }
            Token::Ident("endif") if block && words == 1 => depth -= open.pop().unwrap_or(0),
            _ => {}
        }
        words += 1;
        if words > WORDS_MAX {
            return Some(format!(
                "An expression has more than {WORDS_MAX} words and signs; make it shorter."
            ));
        }
        if depth > CONDITIONALS_MAX {
            return Some(format!(
                "Conditionals nest deeper than {CONDITIONALS_MAX}, an elif being one more."
            ));
        }
    }
    None
}

type Checked = Result<(), String>;

fn refuse(what: &str) -> Checked {
    Err(format!(
        "Templates have variables, filters and conditionals; {what} cannot be used."
    ))
}

fn statement(stmt: &Stmt<'_>) -> Checked {
    match stmt {
        Stmt::Template(t) => t.children.iter().try_for_each(statement),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(e) => expression(&e.expr),
        Stmt::IfCond(i) => {
            expression(&i.expr)?;
            i.true_body
                .iter()
                .chain(&i.false_body)
                .try_for_each(statement)
        }
        Stmt::ForLoop(_) => refuse("loops"),
        Stmt::Set(_) | Stmt::SetBlock(_) | Stmt::WithBlock(_) => refuse("assignments"),
        _ => refuse("this kind of block"),
    }
}

fn expression(expr: &Expr<'_>) -> Checked {
    match expr {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::UnaryOp(u) => expression(&u.expr),
        Expr::GetAttr(a) => expression(&a.expr),
        Expr::Test(t) => expression(&t.expr).and_then(|()| arguments(&t.args)),
        Expr::Compare(c) => {
            expression(&c.expr)?;
            c.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(i) => {
            expression(&i.test_expr)?;
            expression(&i.true_expr)?;
            i.false_expr.as_ref().map_or(Ok(()), expression)
        }
        Expr::BinOp(b) => {
            use BinOpKind as Op;
            match b.op {
                Op::Eq
                | Op::Ne
                | Op::Lt
                | Op::Lte
                | Op::Gt
                | Op::Gte
                | Op::ScAnd
                | Op::ScOr
                | Op::In => {}
                _ => return refuse("arithmetic and joining of texts"),
            }
            expression(&b.left).and_then(|()| expression(&b.right))
        }
        Expr::Filter(f) if FILTERS.contains(&f.name) => {
            f.expr.as_ref().map_or(Ok(()), expression)?;
            arguments(&f.args)
        }
        Expr::Filter(f) => Err(format!(
            "There is no filter “{}”. There are: {}.",
            f.name,
            FILTERS.join(", ")
        )),
        Expr::Call(_) => refuse("functions"),
        _ => refuse("lists and parts of texts"),
    }
}

fn arguments(args: &[CallArg<'_>]) -> Checked {
    args.iter().try_for_each(|arg| match arg {
        CallArg::Pos(value) | CallArg::Kwarg(_, value) => expression(value),
        _ => refuse("lists of arguments"),
    })
}

/// Variables that are shown as they are: without a fallback, and without a condition around them that names them.
pub fn bare(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if too_deep(source).is_some() {
        return names;
    }
    let parsed = parse(
        source,
        "template",
        SyntaxConfig,
        WhitespaceConfig::default(),
    );
    if let Ok(template) = parsed {
        bare_in(&template, &BTreeSet::new(), &mut names);
    }
    names
}

fn bare_in(stmt: &Stmt<'_>, known: &BTreeSet<String>, names: &mut BTreeSet<String>) {
    match stmt {
        Stmt::Template(t) => t.children.iter().for_each(|s| bare_in(s, known, names)),
        Stmt::EmitExpr(e) => shown(&e.expr, known, names),
        Stmt::IfCond(i) => {
            let mut inside = known.clone();
            named(&i.expr, &mut inside);
            i.true_body.iter().for_each(|s| bare_in(s, &inside, names));
            i.false_body.iter().for_each(|s| bare_in(s, known, names));
        }
        _ => {}
    }
}

/// The variables whose own text an expression shows.
fn shown(expr: &Expr<'_>, known: &BTreeSet<String>, names: &mut BTreeSet<String>) {
    match expr {
        Expr::Filter(f) if ["fallback", "default", "d"].contains(&f.name) => {}
        Expr::Filter(f) => {
            if let Some(inner) = &f.expr {
                shown(inner, known, names);
            }
        }
        Expr::IfExpr(i) => {
            let mut inside = known.clone();
            named(&i.test_expr, &mut inside);
            shown(&i.true_expr, &inside, names);
            if let Some(other) = &i.false_expr {
                shown(other, known, names);
            }
        }
        _ => names.extend(name_of(expr).filter(|name| !known.contains(name))),
    }
}

/// All variables that an expression names.
fn named(expr: &Expr<'_>, names: &mut BTreeSet<String>) {
    match expr {
        Expr::UnaryOp(u) => named(&u.expr, names),
        Expr::BinOp(b) => {
            named(&b.left, names);
            named(&b.right, names);
        }
        Expr::Compare(c) => named(&c.expr, names),
        Expr::Test(t) => named(&t.expr, names),
        Expr::Filter(f) => {
            if let Some(inner) = &f.expr {
                named(inner, names);
            }
        }
        _ => names.extend(name_of(expr)),
    }
}

/// The variable that an expression is; `data.plan` is `plan`.
fn name_of(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Var(v) => Some(v.id.to_owned()),
        Expr::GetAttr(a) => match &a.expr {
            Expr::Var(v) if v.id == "data" => Some(a.name.to_owned()),
            _ => None,
        },
        _ => None,
    }
}

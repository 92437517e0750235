use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(value: serde_json::Value) -> Filter {
    serde_json::from_value(value).expect("a filter")
}

#[test]
fn filters_of_rules_that_were_written_before_are_still_read() {
    let old = json!({"and": [
        {"tag": "hot"},
        {"not": {"field": {"name": "country", "op": "eq", "value": "DE"}}},
        {"or": [{"field": {"name": "phone", "op": "is_set"}}]},
    ]});
    let filter = read(old.clone());
    assert_eq!(filter.check(), Ok(()));
    let back = serde_json::to_value(&filter).expect("JSON");
    assert_eq!(back["and"][0], old["and"][0]);
    assert_eq!(back["and"][1], old["and"][1]);
    assert_eq!(filter.depth(), 3);
    assert_eq!(filter.size(), 6);
}

#[test]
fn values_may_be_numbers_and_booleans() {
    for (value, text) in [
        (json!(12), "12"),
        (json!(-1.5), "-1.5"),
        (json!(true), "true"),
    ] {
        let filter = read(json!({"field": {"name": "size", "op": "eq", "value": value}}));
        let Filter::Field(comparison) = filter else {
            panic!("a comparison")
        };
        assert_eq!(comparison.value, text);
    }
    let object = json!({"field": {"name": "size", "op": "eq", "value": {"a": 1}}});
    assert!(serde_json::from_value::<Filter>(object).is_err());
}

#[test]
fn what_is_wrong_is_named() {
    let path = |value| read(value).check().expect_err("wrong").path;
    let deep = (0..DEPTH_MAX).fold(json!({"tag": "a"}), |inner, _| json!({"not": inner}));
    assert_eq!(path(deep), "");
    let wide = json!({"or": vec![json!({"tag": "a"}); SIZE_MAX]});
    assert_eq!(path(wide), "");
    let number = json!({"and": [{"tag": "a"}, {"not": {"field": {"name": "n", "op": "gt", "value": "many"}}}]});
    assert_eq!(path(number), "and[1].not.field.value");
    assert_eq!(path(json!({"tag": " "})), "tag");
    assert_eq!(path(json!({"import": 0})), "import");
    assert_eq!(
        path(json!({"created": {"within_days": 0}})),
        "created.within_days"
    );
    let never = json!({"activity": {"what": "mailed", "when": {"after": 5, "before": 5}}});
    assert_eq!(path(never), "activity.when.before");
    assert_eq!(
        path(json!({"one_of": {"name": "n", "values": []}})),
        "one_of.values"
    );
}

#[test]
fn days_become_times() {
    let filter =
        read(json!({"or": [{"not": {"updated": {"within_days": 2}}}, {"created": {"after": 7}}]}));
    let fixed = filter.at(3 * DAY);
    let expected = json!({"or": [{"not": {"updated": {"after": DAY}}}, {"created": {"after": 7}}]});
    assert_eq!(serde_json::to_value(&fixed).expect("JSON"), expected);
    assert_eq!(fixed.at(9 * DAY), fixed);
}

#[test]
fn numbers_and_dates_have_an_order() {
    let operand = |value: &str| {
        let comparison = Comparison {
            name: "n".into(),
            op: Op::Gt,
            value: value.into(),
        };
        comparison.operand().map(|o| format!("{o:?}"))
    };
    assert_eq!(operand(" 12 ").as_deref(), Some("Number(12.0)"));
    assert_eq!(operand("-0.5").as_deref(), Some("Number(-0.5)"));
    assert_eq!(
        operand("2026-11-21").as_deref(),
        Some("Date(\"2026-11-21\")")
    );
    for none in ["", "1e5", "inf", ".5", "1.", "12 a", "2026-1-1", "－5"] {
        assert_eq!(operand(none), None, "{none}");
    }
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let span = (
        prop::option::of(1u32..9),
        prop::option::of(0i64..9),
        prop::option::of(9i64..20),
    );
    let span = span.prop_map(|(within_days, after, before)| Span {
        within_days,
        after,
        before,
    });
    let leaf = prop_oneof![
        "[a-z]{1,3}".prop_map(Filter::Tag),
        (1i64..9).prop_map(Filter::Import),
        span.clone().prop_map(Filter::Created),
        span.clone().prop_map(Filter::Updated),
        (0usize..11, span).prop_map(|(i, when)| Filter::Activity(Activity {
            what: Happened::ALL[i],
            when
        })),
        prop::collection::vec("[a-z]{0,3}", 1..3).prop_map(|values| Filter::OneOf(OneOf {
            name: "n".into(),
            values
        })),
        "[a-z]{0,3}".prop_map(|value| Filter::Field(Comparison {
            name: "n".into(),
            op: Op::Ne,
            value
        })),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|f| Filter::Not(Box::new(f))),
        ]
    })
}

proptest! {
    #[test]
    fn a_filter_is_read_as_it_was_written(filter in any_filter()) {
        prop_assert_eq!(filter.check(), Ok(()));
        let json = serde_json::to_string(&filter).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Filter>(&json).expect("a filter"), filter.clone());
        prop_assert!(filter.depth() <= filter.size());
        let text = format!("{:?}", filter.at(5));
        prop_assert!(!text.contains("within_days: Some"));
    }
}

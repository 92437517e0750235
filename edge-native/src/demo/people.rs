//! People who could exist at companies that do not: the same ones each time, at addresses that reach nobody (RFC 2606).

use store::Value;

/// A plausible lead.
#[derive(Debug, Clone)]
pub struct Person {
    /// Unique address.
    pub email: String,
    /// Given name.
    pub first_name: &'static str,
    /// Family name.
    pub last_name: &'static str,
    /// Title.
    pub job_title: &'static str,
    /// Company.
    pub company: String,
    /// Country.
    pub country: &'static str,
    /// A custom field.
    pub industry: &'static str,
    /// A custom field.
    pub employees: u32,
}

const FIRST: [&str; 40] = [
    "Ada", "Amir", "Anke", "Beatriz", "Bruno", "Camille", "Chen", "Clara", "Dario", "Elif", "Emil",
    "Farah", "Felix", "Greta", "Hana", "Hugo", "Ines", "Ivan", "Jana", "Joon", "Karim", "Lea",
    "Leo", "Lina", "Luca", "Mara", "Marek", "Mina", "Nadia", "Nils", "Noor", "Olga", "Oscar",
    "Priya", "Rafael", "Sara", "Sofia", "Tomas", "Yara", "Zoe",
];
const LAST: [&str; 40] = [
    "Adler", "Almeida", "Anders", "Baptiste", "Bauer", "Becker", "Bianchi", "Castro", "Cohen",
    "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Hansen", "Ito", "Jansen", "Kaya",
    "Keller", "Kim", "Kowalski", "Larsen", "Lindt", "Lopez", "Marin", "Meyer", "Moreau", "Nguyen",
    "Novak", "Okafor", "Patel", "Petrov", "Rossi", "Sato", "Schmid", "Silva", "Vogel", "Weber",
    "Yilmaz",
];
const TITLES: [&str; 10] = [
    "Head of Operations",
    "Managing Director",
    "Plant Manager",
    "VP Sales",
    "Head of Procurement",
    "Chief Technology Officer",
    "Founder",
    "Marketing Lead",
    "Supply Chain Manager",
    "Automation Engineer",
];
const COMPANY: [&str; 24] = [
    "Alpenglow",
    "Baltic",
    "Bluefin",
    "Brightwater",
    "Cobalt",
    "Driftwood",
    "Eastgate",
    "Fernhill",
    "Granite",
    "Harbour",
    "Ironwood",
    "Juniper",
    "Kestrel",
    "Larkspur",
    "Meridian",
    "Northwind",
    "Oakline",
    "Pinecrest",
    "Quarry",
    "Redstone",
    "Silverbirch",
    "Tidewater",
    "Upland",
    "Westbrook",
];
const TRADE: [(&str, &str); 8] = [
    ("Logistics", "logistics"),
    ("Foods", "food"),
    ("Robotics", "machinery"),
    ("Optics", "electronics"),
    ("Packaging", "packaging"),
    ("Textiles", "textiles"),
    ("Energy", "energy"),
    ("Medical", "health"),
];
const COUNTRY: [&str; 10] = [
    "Germany",
    "France",
    "Netherlands",
    "Spain",
    "Italy",
    "Poland",
    "Sweden",
    "Austria",
    "Portugal",
    "Denmark",
];

/// A small generator with a fixed seed (splitmix64), so that every demo is the same.
pub struct Dice(u64);

impl Dice {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// The person of a number.
pub fn person(number: usize, dice: &mut Dice) -> Person {
    let (first_name, last_name) = (FIRST[dice.below(FIRST.len())], LAST[dice.below(LAST.len())]);
    let (stem, (trade, industry)) = (
        COMPANY[dice.below(COMPANY.len())],
        TRADE[dice.below(TRADE.len())],
    );
    let domain = format!("{}-{}.example", stem.to_lowercase(), trade.to_lowercase());
    Person {
        email: format!(
            "{}.{}{number}@{domain}",
            first_name.to_lowercase(),
            last_name.to_lowercase()
        ),
        first_name,
        last_name,
        job_title: TITLES[dice.below(TITLES.len())],
        company: format!("{stem} {trade}"),
        country: COUNTRY[dice.below(COUNTRY.len())],
        industry,
        employees: [12, 30, 45, 80, 140, 260, 600, 1200][dice.below(8)],
    }
}

/// People as a CSV file, as a tool would export it.
pub fn csv(people: &[Person]) -> String {
    let mut text =
        "Email,First Name,Last Name,Title,Company Name,Country,Industry,# Employees\n".to_owned();
    for p in people {
        let cells = [
            p.email.as_str(),
            p.first_name,
            p.last_name,
            p.job_title,
            &p.company,
            p.country,
            p.industry,
        ];
        text.push_str(&format!("{},{}\n", cells.join(","), p.employees));
    }
    text
}

/// A column of a row that the history writes.
pub fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

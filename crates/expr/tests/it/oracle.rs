//! Where CEL has an answer, it is ours: random well-typed expressions against the `cel` crate.
//!
//! Where CEL has an error instead (overflow, a missing key, a conversion that fails), we have null, and the scripts say what
//! follows from it; such expressions are skipped here, unless `&&`, `||` or `?:` absorb the error.

use std::collections::HashMap;

use aldis_expr::{Environment, Expression, List, Value};
use cel::objects::Key;
use cel::{Context, Program};
use otlp::Signal;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::record::Given;

/// Values under the keys `i j d e s t b c l m` of `attributes` (and, reversed in meaning, of `resource`).
#[derive(Clone, Debug)]
struct Bindings {
    ints: [i64; 2],
    doubles: [f64; 2],
    texts: [String; 2],
    bools: [bool; 2],
    list: Vec<i64>,
    words: Vec<String>,
}

impl Bindings {
    /// As literals of both languages.
    fn entries(&self) -> Vec<(&'static str, String)> {
        let words: Vec<String> = self.words.iter().map(|word| format!("{word:?}")).collect();
        vec![
            ("i", self.ints[0].to_string()),
            ("j", self.ints[1].to_string()),
            ("d", format!("{:?}", self.doubles[0])),
            ("e", format!("{:?}", self.doubles[1])),
            ("s", format!("{:?}", self.texts[0])),
            ("t", format!("{:?}", self.texts[1])),
            ("b", self.bools[0].to_string()),
            ("c", self.bools[1].to_string()),
            ("l", format!("{:?}", self.list)),
            ("m", format!("[{}]", words.join(", "))),
        ]
    }

    fn given(&self) -> Given {
        let mut given = Given::default();
        for (key, value) in self.entries() {
            given.set(&format!("attributes[\"{key}\"]"), &value);
            given.set(&format!("resource[\"{key}\"]"), &value);
        }
        given
    }

    fn context(&self) -> Context<'static, 'static> {
        let mut context = Context::default();
        let entries: HashMap<String, cel::Value> = self
            .entries()
            .into_iter()
            .map(|(key, value)| {
                let value = Program::compile(&value).unwrap().execute(&Context::default()).unwrap();
                (key.to_owned(), value)
            })
            .collect();
        context.add_variable_from_value("attributes", entries.clone());
        context.add_variable_from_value("resource", entries);
        context
    }
}

fn bindings() -> impl Strategy<Value = Bindings> {
    let text = "[abAé ]{0,4}";
    let double = (-40i32..40).prop_map(|quarters| f64::from(quarters) / 4.0);
    (
        [-9i64..9, -9i64..9],
        [double.clone(), double],
        [text, text],
        any::<[bool; 2]>(),
        prop::collection::vec(-9i64..9, 0..4),
        prop::collection::vec(text, 0..4),
    )
        .prop_map(|(ints, doubles, texts, bools, list, words)| Bindings {
            ints,
            doubles,
            texts,
            bools,
            list,
            words,
        })
}

/// A stream of choices that ends in leaves: what proptest shortens, shortens the expression.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn of(&mut self, n: u8) -> u8 {
        self.0.next().map_or(0, |choice| choice % n)
    }

    fn variable(&mut self, keys: [&str; 2]) -> String {
        let key = keys[usize::from(self.of(2))];
        match self.of(4) {
            0 | 1 => format!("attributes[\"{key}\"]"),
            2 => format!("attributes.{key}"),
            _ => format!("resource[\"{key}\"]"),
        }
    }

    fn one(&mut self, options: &[&'static str]) -> &'static str {
        options[usize::from(self.of(options.len() as u8))]
    }

    fn int(&mut self) -> String {
        match self.of(9) {
            0 | 1 => self.variable(["i", "j"]),
            2 => format!("{}", i64::from(self.of(40)) - 20),
            3 | 4 => {
                let operator = self.one(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.int(), self.int())
            }
            5 => format!("size({})", self.text()),
            6 => format!("-({})", self.int()),
            7 => format!("({} ? {} : {})", self.truth(), self.int(), self.int()),
            _ => format!("{}.size()", self.list().0),
        }
    }

    fn double(&mut self) -> String {
        match self.of(5) {
            0 | 1 => self.variable(["d", "e"]),
            2 => format!("{:?}", f64::from(self.of(40)) / 4.0),
            3 => {
                let operator = self.one(&["+", "-", "*", "/"]);
                format!("({} {operator} {})", self.double(), self.double())
            }
            _ => format!("double({})", self.int()),
        }
    }

    fn text(&mut self) -> String {
        match self.of(6) {
            0 | 1 => self.variable(["s", "t"]),
            2 => format!("{:?}", self.one(&["", "a", "é", "ab", "A b"])),
            3 => format!("({} + {})", self.text(), self.text()),
            4 => format!("string({})", self.int()),
            _ => format!("({} ? {} : {})", self.truth(), self.text(), self.text()),
        }
    }

    /// A list, and whether it is of integers.
    fn list(&mut self) -> (String, bool) {
        match self.of(4) {
            0 => (self.variable(["l", "l"]), true),
            1 => (self.variable(["m", "m"]), false),
            2 => {
                let elements: Vec<String> = (0..self.of(12)).map(|_| self.int()).collect();
                (format!("[{}]", elements.join(", ")), true)
            }
            _ => {
                let elements: Vec<String> = (0..self.of(12)).map(|_| self.text()).collect();
                (format!("[{}]", elements.join(", ")), false)
            }
        }
    }

    fn truth(&mut self) -> String {
        let comparison = self.one(&["==", "!=", "<", "<=", ">", ">="]);
        match self.of(14) {
            0 => self.variable(["b", "c"]),
            1 => self.one(&["true", "false"]).to_owned(),
            2 | 3 => format!("{} {comparison} {}", self.int(), self.int()),
            4 => format!("{} {comparison} {}", self.double(), self.double()),
            5 => format!("{} {comparison} {}", self.int(), self.double()),
            6 => format!("{} {comparison} {}", self.text(), self.text()),
            7 | 8 => {
                let operator = self.one(&["&&", "||"]);
                format!("({} {operator} {} {operator} {})", self.truth(), self.truth(), self.truth())
            }
            9 => format!("!({})", self.truth()),
            10 => {
                let function = self.one(&["startsWith", "endsWith", "contains"]);
                format!("{}.{function}({})", self.text(), self.text())
            }
            11 => {
                let (list, ints) = self.list();
                let needle = if ints { self.int() } else { self.text() };
                format!("{needle} in {list}")
            }
            12 => {
                let pattern = self.one(&["^a", "b$", "a.", "[A-Z]", "é|b"]);
                format!("{}.matches({pattern:?})", self.text())
            }
            _ => format!("has(attributes.{})", self.one(&["i", "s", "absent"])),
        }
    }

    fn any(&mut self) -> String {
        match self.of(6) {
            0 => self.int(),
            1 => self.double(),
            2 => self.text(),
            3 => self.list().0,
            _ => self.truth(),
        }
    }
}

/// Whether both languages mean the same value.
fn same(ours: &Value<'_>, theirs: &cel::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, cel::Value::Null) => true,
        (Value::Bool(ours), cel::Value::Bool(theirs)) => ours == theirs,
        (Value::Int(ours), cel::Value::Int(theirs)) => ours == theirs,
        (Value::Double(ours), cel::Value::Float(theirs)) => {
            ours == theirs || (ours.is_nan() && theirs.is_nan())
        }
        (Value::String(ours), cel::Value::String(theirs)) => ours.as_ref() == theirs.as_str(),
        (Value::List(ours), cel::Value::List(theirs)) => same_list(ours, theirs),
        (Value::Map(ours), cel::Value::Map(theirs)) => {
            ours.count() == theirs.map.len()
                && ours.clone().all(|(key, value)| {
                    theirs.get(&Key::from(key)).is_some_and(|theirs| same(&Value::from(value), theirs))
                })
        }
        _ => false,
    }
}

fn same_list(ours: &List<'_>, theirs: &[cel::Value]) -> bool {
    ours.iter().count() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(&ours, theirs))
}

/// Whether CEL had an answer, which then is ours.
fn agree(bindings: &Bindings, source: &str) -> Result<bool, TestCaseError> {
    let program =
        Program::compile(source).map_err(|e| TestCaseError::fail(format!("cel refuses {source}: {e}")))?;
    let ours = Expression::compile(source, &Environment::of(Signal::Traces));
    let Ok(theirs) = program.execute(&bindings.context()) else { return Ok(false) };
    let ours = ours.map_err(|errors| TestCaseError::fail(format!("we refuse {source}: {}", errors[0])))?;
    let batch = bindings.given().batch();
    let value = ours.evaluate(&batch, 0);
    prop_assert!(same(&value, &theirs), "{} is {:?} to cel and {} to us", source, theirs, value);
    let mut selection = aldis_expr::Selection::default();
    ours.select(&batch, &mut selection);
    prop_assert_eq!(selection.contains(0), value.as_bool() == Some(true), "{}: selected", source);
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_cel_answers_we_answer(bindings in bindings(), choices in prop::collection::vec(any::<u8>(), 1..60)) {
        let source = Choices(choices.iter()).any();
        agree(&bindings, &source)?;
    }
}

#[test]
fn most_generated_expressions_have_an_answer() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (bindings(), prop::collection::vec(any::<u8>(), 1..60));
    let answered = (0..200).filter(|_| {
        let (bindings, choices) = strategy.new_tree(&mut runner).unwrap().current();
        agree(&bindings, &Choices(choices.iter()).any()).unwrap()
    });
    assert!(answered.count() > 120, "the oracle is skipped too often to mean anything");
}

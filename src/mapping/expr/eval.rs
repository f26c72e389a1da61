//! Evaluation. Missing values make the result missing, except where `==`, `!=`, `&&` and `||`
//! can still tell; what cannot be computed stops with the place of its operator.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;
use waybill_parsers::{Kind, Node};

use super::{Arithmetic, Code, Comparison, Operands, Stop, Value, What};
use crate::mapping::lookup::{Scope, Type};
use crate::mapping::number;

/// The longest text that `+` makes, in bytes. A chain of them would multiply a long one.
const MOST_TEXT: usize = 1 << 20;

impl Code {
    /// The result for the document in `scope`.
    pub(super) fn value<'a>(&'a self, scope: &Scope<'a>) -> Result<Value<'a>, Stop> {
        scope.work.spend(1);
        Ok(match &self.what {
            What::Null => Value::Missing,
            What::Bool(value) => Value::Bool(*value),
            What::Text(text) => Value::Text(Cow::Borrowed(text)),
            What::Number(number) => Value::Number(*number),
            What::Path(lookup, kind) => match lookup.find(scope) {
                Some(node) => self.of_node(node, *kind, scope)?,
                None => Value::Missing,
            },
            What::Not(_) | What::And(_) | What::Or(_) | What::Compare(..) => {
                self.truth(scope)?.map_or(Value::Missing, Value::Bool)
            }
            What::Negate(inner) => {
                inner.number(scope)?.map_or(Value::Missing, |number| Value::Number(-number))
            }
            What::String(inner) => to_text(inner.value(scope)?),
            What::Arithmetic(operator, operands) => {
                let [left, right] = &**operands;
                let (Some(left), Some(right)) = (left.number(scope)?, right.number(scope)?) else {
                    return Ok(Value::Missing);
                };
                self.compute(*operator, left, right)?
            }
            What::Join(operands) => {
                let [left, right] = &**operands;
                self.join(left.text(scope)?, right.text(scope)?, scope)?
            }
            What::AddOrJoin(operands) => self.add_or_join(operands, scope)?,
        })
    }

    /// The result of a condition; `None` when it is missing.
    pub(super) fn truth(&self, scope: &Scope<'_>) -> Result<Option<bool>, Stop> {
        match &self.what {
            What::Not(inner) => Ok(inner.truth(scope)?.map(|value| !value)),
            What::And(operands) => decided_by(false, operands, scope),
            What::Or(operands) => decided_by(true, operands, scope),
            What::Compare(comparison, kind, operands) => {
                self.compare(*comparison, *kind, operands, scope)
            }
            _ => match self.value(scope)? {
                Value::Missing => Ok(None),
                Value::Bool(value) => Ok(Some(value)),
                _ => Err(self.stop(scope, "is not true or false")),
            },
        }
    }

    fn of_node<'a>(
        &'a self,
        node: Node<'a>,
        kind: Type,
        scope: &Scope<'a>,
    ) -> Result<Value<'a>, Stop> {
        let text = node.text();
        scope.work.spend_text(text);
        match (node.kind(), kind) {
            (Kind::Null, _) => Ok(Value::Missing),
            (Kind::Group | Kind::Segment | Kind::List, _) => {
                Err(self.stop(scope, "is not a single value"))
            }
            (Kind::Number, Type::Any) | (_, Type::Decimal) => Ok(Value::Source(text)),
            (Kind::Bool, Type::Any) | (_, Type::Bool) => match (text, node.kind()) {
                ("true", _) | ("X", Kind::Field) => Ok(Value::Bool(true)),
                ("false", _) | ("", Kind::Field) => Ok(Value::Bool(false)),
                _ => Err(self.stop(scope, "is not true or false")),
            },
            _ => Ok(Value::Text(Cow::Borrowed(text))),
        }
    }

    fn number(&self, scope: &Scope<'_>) -> Result<Option<Decimal>, Stop> {
        let value = self.value(scope)?;
        self.to_number(&value, scope)
    }

    fn to_number(&self, value: &Value<'_>, scope: &Scope<'_>) -> Result<Option<Decimal>, Stop> {
        let text = match value {
            Value::Missing => return Ok(None),
            Value::Number(number) => return Ok(Some(*number)),
            Value::Source(text) => text,
            Value::Text(text) => &**text,
            Value::Bool(_) => return Err(self.stop(scope, "is not a number")),
        };
        number::read(text).map(Some).map_err(|error| self.stop(scope, &error.to_string()))
    }

    fn text<'a>(&'a self, scope: &Scope<'a>) -> Result<Option<Cow<'a, str>>, Stop> {
        match self.value(scope)? {
            Value::Missing => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.stop(scope, "is not text; `string()` makes it so")),
        }
    }

    fn compute(&self, operator: Arithmetic, a: Decimal, b: Decimal) -> Result<Value<'_>, Stop> {
        let result = match operator {
            Arithmetic::Add => number::add(a, b),
            Arithmetic::Subtract => number::add(a, -b),
            Arithmetic::Multiply => number::multiply(a, b),
        };
        let too_long = || Stop {
            spot: self.spot,
            path: None,
            reason: "the result has more digits than are computed exactly".to_owned(),
        };
        result.map(Value::Number).ok_or_else(too_long)
    }

    fn add_or_join<'a>(
        &'a self,
        operands: &'a [Self; 2],
        scope: &Scope<'a>,
    ) -> Result<Value<'a>, Stop> {
        let [left, right] = operands;
        match (left.value(scope)?, right.value(scope)?) {
            (Value::Missing, _) | (_, Value::Missing) => Ok(Value::Missing),
            (Value::Text(a), Value::Text(b)) => self.join(Some(a), Some(b), scope),
            (a, b) => match (left.to_number(&a, scope)?, right.to_number(&b, scope)?) {
                (Some(a), Some(b)) => self.compute(Arithmetic::Add, a, b),
                _ => Ok(Value::Missing),
            },
        }
    }

    fn compare(
        &self,
        comparison: Comparison,
        kind: Operands,
        operands: &[Self; 2],
        scope: &Scope<'_>,
    ) -> Result<Option<bool>, Stop> {
        let [left, right] = operands;
        let (a, b) = (left.value(scope)?, right.value(scope)?);
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let ordering = match (&a, &b) {
            (Value::Missing, Value::Missing) if equality => Ordering::Equal,
            // Which of the two does not matter: they differ.
            (Value::Missing, _) | (_, Value::Missing) if equality => Ordering::Less,
            (Value::Missing, _) | (_, Value::Missing) => return Ok(None),
            (Value::Text(a), Value::Text(b)) if kind != Operands::Numbers => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) if equality => a.cmp(b),
            (Value::Bool(_), _) | (_, Value::Bool(_)) => return Err(self.unlike()),
            _ if kind == Operands::Texts || kind == Operands::Bools => return Err(self.unlike()),
            _ => match (left.to_number(&a, scope)?, right.to_number(&b, scope)?) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => return Ok(None),
            },
        };
        Ok(Some(match comparison {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterEqual => ordering.is_ge(),
        }))
    }

    fn join<'a>(
        &self,
        left: Option<Cow<'a, str>>,
        right: Option<Cow<'a, str>>,
        scope: &Scope<'_>,
    ) -> Result<Value<'a>, Stop> {
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(Value::Missing);
        };
        if left.len() + right.len() > MOST_TEXT {
            let reason = format!("the joined text has more than {MOST_TEXT} bytes");
            return Err(Stop { spot: self.spot, path: None, reason });
        }
        let mut text = left.into_owned();
        text.push_str(&right);
        scope.work.spend_text(&text);
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn unlike(&self) -> Stop {
        let reason = "the two values are not of one type".to_owned();
        Stop { spot: self.spot, path: None, reason }
    }

    /// Stops because of this operand.
    fn stop(&self, scope: &Scope<'_>, reason: &str) -> Stop {
        match &self.what {
            What::Path(lookup, _) => {
                let path = lookup.place(scope);
                Stop { spot: self.spot, reason: format!("`{path}` {reason}"), path: Some(path) }
            }
            _ => Stop { spot: self.spot, path: None, reason: format!("the operand {reason}") },
        }
    }
}

/// `&&` (decided by false) and `||` (decided by true): the left operand may decide alone, and a
/// missing one leaves it to the other.
fn decided_by(by: bool, operands: &[Code; 2], scope: &Scope<'_>) -> Result<Option<bool>, Stop> {
    let [left, right] = operands;
    let first = left.truth(scope)?;
    if first == Some(by) {
        return Ok(first);
    }
    let second = right.truth(scope)?;
    Ok(if second == Some(by) || first.is_some() { second } else { None })
}

fn to_text(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Source(text) => Value::Text(Cow::Borrowed(text)),
        Value::Bool(value) => Value::Text(Cow::Borrowed(if value { "true" } else { "false" })),
        Value::Number(number) => {
            let mut text = String::new();
            number::write(number, &mut text);
            Value::Text(Cow::Owned(text))
        }
        Value::Missing | Value::Text(_) => value,
    }
}

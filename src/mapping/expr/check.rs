//! The typed check: every path exists and every operator fits its operands.

use super::parse::{Ast, Binary, Syntax};
use super::{Arithmetic, Code, Comparison, Mistake, Operands, What, name};
use crate::mapping::lookup::{Names, Type};
use crate::mapping::number;
use crate::mapping::written::Written;

/// Checks `tree`, or returns every mistake in it.
pub(super) fn check(
    tree: &Ast,
    names: &Names<'_>,
    written: &Written<'_>,
) -> Result<(Code, Type), Vec<Mistake>> {
    let mut checker = Checker { names, written, mistakes: Vec::new() };
    let (code, kind) = checker.node(tree);
    if checker.mistakes.is_empty() { Ok((code, kind)) } else { Err(checker.mistakes) }
}

struct Checker<'a> {
    names: &'a Names<'a>,
    written: &'a Written<'a>,
    mistakes: Vec<Mistake>,
}

impl Checker<'_> {
    /// The code of `ast` and its type. After a mistake the type is [`Type::Any`], so that one
    /// mistake is not reported again by everything around it.
    fn node(&mut self, ast: &Ast) -> (Code, Type) {
        let (what, kind) = match &ast.what {
            Syntax::Null => (What::Null, Type::Null),
            Syntax::Bool(value) => (What::Bool(*value), Type::Bool),
            Syntax::Text(text) => (What::Text(text.as_str().into()), Type::Text),
            Syntax::Number(text) => match number::read(text) {
                Ok(number) => (What::Number(number), Type::Decimal),
                Err(error) => self.mistake(Mistake::new(ast.at, format!("`{text}` {error}"))),
            },
            Syntax::Path(path) => match self.names.value(path) {
                Ok((lookup, kind)) => (What::Path(lookup, kind), kind),
                Err(bad) => {
                    self.mistake(Mistake { at: ast.at, message: bad.message, remedy: bad.remedy })
                }
            },
            Syntax::Not(inner) => {
                let inner = self.operand("!", inner, Type::Bool);
                (What::Not(Box::new(inner)), Type::Bool)
            }
            Syntax::Negate(inner) => {
                let inner = self.operand("-", inner, Type::Decimal);
                (What::Negate(Box::new(inner)), Type::Decimal)
            }
            Syntax::String(inner) => {
                let (inner, _) = self.node(inner);
                (What::String(Box::new(inner)), Type::Text)
            }
            Syntax::Binary(operator, operands) => self.binary(*operator, operands, ast.at),
        };
        (Code { spot: self.written.spot(ast.at), what }, kind)
    }

    fn mistake(&mut self, mistake: Mistake) -> (What, Type) {
        self.mistakes.push(mistake);
        (What::Null, Type::Any)
    }

    /// An operand that must be of type `wanted`, or of a type that only the document tells.
    fn operand(&mut self, sign: &str, ast: &Ast, wanted: Type) -> Code {
        let (code, kind) = self.node(ast);
        if kind != wanted && kind != Type::Any {
            let message = format!("`{sign}` needs {}, but this is {}", name(wanted), name(kind));
            let mistake = Mistake::new(ast.at, message);
            let joins = sign == "+" && wanted == Type::Text && kind != Type::Null;
            self.mistakes.push(match joins {
                true => mistake.remedied("write `string(…)` around it to join it to text"),
                false => mistake,
            });
        }
        code
    }

    fn binary(&mut self, operator: Binary, operands: &[Ast; 2], at: usize) -> (What, Type) {
        let [left, right] = operands;
        let both = |checker: &mut Self, wanted| {
            let left = checker.operand(operator.sign(), left, wanted);
            Box::new([left, checker.operand(operator.sign(), right, wanted)])
        };
        match operator {
            Binary::And => (What::And(both(self, Type::Bool)), Type::Bool),
            Binary::Or => (What::Or(both(self, Type::Bool)), Type::Bool),
            Binary::Subtract => {
                let operands = both(self, Type::Decimal);
                (What::Arithmetic(Arithmetic::Subtract, operands), Type::Decimal)
            }
            Binary::Multiply => {
                let operands = both(self, Type::Decimal);
                (What::Arithmetic(Arithmetic::Multiply, operands), Type::Decimal)
            }
            Binary::Add => self.add(operands, at),
            Binary::Equal => self.compare(Comparison::Equal, operands, at),
            Binary::NotEqual => self.compare(Comparison::NotEqual, operands, at),
            Binary::Less => self.compare(Comparison::Less, operands, at),
            Binary::LessEqual => self.compare(Comparison::LessEqual, operands, at),
            Binary::Greater => self.compare(Comparison::Greater, operands, at),
            Binary::GreaterEqual => self.compare(Comparison::GreaterEqual, operands, at),
        }
    }

    fn add(&mut self, operands: &[Ast; 2], at: usize) -> (What, Type) {
        let [left, right] = operands;
        let ((left_code, left_kind), (right_code, right_kind)) =
            (self.node(left), self.node(right));
        let codes = Box::new([left_code, right_code]);
        match (left_kind, right_kind) {
            (Type::Any, Type::Any) => (What::AddOrJoin(codes), Type::Any),
            (Type::Text | Type::Any, Type::Text | Type::Any) => (What::Join(codes), Type::Text),
            (Type::Decimal | Type::Any, Type::Decimal | Type::Any) => {
                (What::Arithmetic(Arithmetic::Add, codes), Type::Decimal)
            }
            (Type::Text, Type::Decimal | Type::Bool) | (Type::Decimal | Type::Bool, Type::Text) => {
                let (ast, kind) =
                    if left_kind == Type::Text { (right, right_kind) } else { (left, left_kind) };
                let message = format!("`+` cannot join text and {}", name(kind));
                let remedy = "write `string(…)` around it";
                self.mistake(Mistake::new(ast.at, message).remedied(remedy))
            }
            _ => self.mistake(Mistake::new(at, "`+` adds two numbers or joins two texts")),
        }
    }

    fn compare(&mut self, comparison: Comparison, operands: &[Ast; 2], at: usize) -> (What, Type) {
        let [left, right] = operands;
        let ((left_code, left_kind), (right_code, right_kind)) =
            (self.node(left), self.node(right));
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let kind = match (left_kind, right_kind) {
            (Type::Decimal, Type::Decimal | Type::Any) | (Type::Any, Type::Decimal) => {
                Some(Operands::Numbers)
            }
            (Type::Text, Type::Text | Type::Any) | (Type::Any, Type::Text) => Some(Operands::Texts),
            (Type::Bool, Type::Bool | Type::Any) | (Type::Any, Type::Bool) if equality => {
                Some(Operands::Bools)
            }
            (Type::Any, Type::Any) => Some(Operands::Any),
            (Type::Null, _) | (_, Type::Null) if equality => Some(Operands::Any),
            _ => None,
        };
        match kind {
            Some(kind) => {
                (What::Compare(comparison, kind, Box::new([left_code, right_code])), Type::Bool)
            }
            None if left_kind == right_kind => {
                let message = format!("{} has no order to compare", name(left_kind));
                (self.mistake(Mistake::new(at, message)).0, Type::Bool)
            }
            None => {
                let (left, right) = (name(left_kind), name(right_kind));
                let message = format!("{left} cannot be compared with {right}");
                (self.mistake(Mistake::new(at, message)).0, Type::Bool)
            }
        }
    }
}

//! Tokens to a tree, by operator precedence (Pratt).

use waybill_parsers::{Path, Step};

use super::token::{Token, What, tokens};
use super::{MAX_DEPTH, MOST_BYTES, MOST_NODES, Mistake};

/// A node of the tree and where it stands: a binary operator at its sign, others at their start.
#[derive(Debug)]
pub(super) struct Ast {
    pub(super) at: usize,
    pub(super) what: Syntax,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Syntax {
    Null,
    Bool(bool),
    Text(String),
    Number(String),
    Path(Path),
    Not(Box<Ast>),
    Negate(Box<Ast>),
    /// `string(…)`.
    String(Box<Ast>),
    Binary(Binary, Box<[Ast; 2]>),
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
}

impl Binary {
    /// The sign in the text.
    pub(super) fn sign(self) -> &'static str {
        BINARY.iter().find(|(_, operator, _)| *operator == self).map_or("", |(sign, ..)| sign)
    }
}

/// Sign, operator and how tightly it binds. All of them are read from left to right.
const BINARY: [(&str, Binary, u8); 11] = [
    ("||", Binary::Or, 1),
    ("&&", Binary::And, 2),
    ("==", Binary::Equal, 3),
    ("!=", Binary::NotEqual, 3),
    ("<", Binary::Less, 3),
    ("<=", Binary::LessEqual, 3),
    (">", Binary::Greater, 3),
    (">=", Binary::GreaterEqual, 3),
    ("+", Binary::Add, 4),
    ("-", Binary::Subtract, 4),
    ("*", Binary::Multiply, 5),
];

const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "map", "filter"];

/// Words that CEL keeps for itself at the start of a path.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

/// Reads one whole expression.
pub(super) fn parse(text: &str) -> Result<Ast, Mistake> {
    if text.len() > MOST_BYTES {
        return Err(Mistake::new(0, format!("the expression is longer than {MOST_BYTES} bytes")));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, next: 0, nodes: 0, text };
    let tree = parser.expression(0, 0)?;
    let token = parser.peek();
    match token.what {
        What::End => Ok(tree),
        _ => Err(parser.no_operator(&token)),
    }
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    next: usize,
    nodes: usize,
    text: &'t str,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        let end = Token { what: What::End, at: self.text.len(), end: self.text.len() };
        self.tokens.get(self.next).cloned().unwrap_or(end)
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn follows(&self, sign: &str) -> bool {
        matches!(self.peek().what, What::Sign(found) if found == sign)
    }

    fn node(&mut self, at: usize, what: Syntax) -> Result<Ast, Mistake> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Mistake::new(at, format!("more than {MOST_NODES} operators and operands")));
        }
        Ok(Ast { at, what })
    }

    /// An expression of operators that bind tighter than `binding`.
    fn expression(&mut self, binding: u8, depth: usize) -> Result<Ast, Mistake> {
        if depth > MAX_DEPTH {
            let at = self.peek().at;
            return Err(Mistake::new(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        let mut left = self.operand(depth)?;
        loop {
            let token = self.peek();
            let What::Sign(sign) = token.what else {
                return Ok(left);
            };
            let found = BINARY.iter().find(|(other, _, tight)| *other == sign && *tight > binding);
            let Some((_, operator, tight)) = found else {
                return Ok(left);
            };
            self.next += 1;
            let right = self.expression(*tight, depth + 1)?;
            left = self.node(token.at, Syntax::Binary(*operator, Box::new([left, right])))?;
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Ast, Mistake> {
        let token = self.take();
        match token.what {
            What::Text(text) => self.node(token.at, Syntax::Text(text)),
            What::Number(text) => self.node(token.at, Syntax::Number(text.to_owned())),
            What::Quoted(name) => self.path(token.at, name),
            What::Name(name) => self.name(token.at, name, depth),
            What::Sign("(") => {
                let inner = self.expression(0, depth + 1)?;
                self.close(token.at)?;
                Ok(inner)
            }
            What::Sign("!") => {
                // Binds tighter than every binary operator.
                let inner = self.expression(u8::MAX, depth + 1)?;
                self.node(token.at, Syntax::Not(Box::new(inner)))
            }
            What::Sign("-") => {
                let inner = self.expression(u8::MAX, depth + 1)?;
                self.node(token.at, Syntax::Negate(Box::new(inner)))
            }
            What::Sign("[") => Err(Mistake::not_yet(token.at, "a list", "[…]")),
            What::End => Err(Mistake::new(token.at, "a value is expected at the end")),
            What::Sign(sign) => {
                Err(Mistake::new(token.at, format!("a value is expected, not `{sign}`")))
            }
        }
    }

    fn close(&mut self, opened: usize) -> Result<(), Mistake> {
        let token = self.peek();
        match token.what {
            What::Sign(")") => {
                self.next += 1;
                Ok(())
            }
            What::End => Err(Mistake::new(opened, "`(` is not closed")),
            _ => Err(self.no_operator(&token)),
        }
    }

    fn name(&mut self, at: usize, name: &'t str, depth: usize) -> Result<Ast, Mistake> {
        match name {
            "true" | "false" => return self.node(at, Syntax::Bool(name == "true")),
            "null" => return self.node(at, Syntax::Null),
            _ if RESERVED.contains(&name) => {
                let message = format!("`{name}` is a word that CEL keeps for itself");
                let remedy = "a field of that name is written in back quotes";
                return Err(Mistake::new(at, message).remedied(remedy));
            }
            _ => {}
        }
        if !self.follows("(") {
            return self.path(at, name);
        }
        if name != "string" {
            return Err(no_function(at, name));
        }
        let opened = self.take().at;
        let inner = self.expression(0, depth + 1)?;
        if self.follows(",") {
            return Err(Mistake::new(self.peek().at, "`string()` takes one value"));
        }
        self.close(opened)?;
        self.node(at, Syntax::String(Box::new(inner)))
    }

    /// The rest of a path whose first name was read.
    fn path(&mut self, at: usize, first: &str) -> Result<Ast, Mistake> {
        let mut steps = vec![Step::Name(first.to_owned())];
        loop {
            if self.follows(".") {
                self.next += 1;
                let token = self.take();
                let (What::Name(name) | What::Quoted(name)) = token.what else {
                    return Err(Mistake::new(token.at, "a name is expected after `.`"));
                };
                if self.follows("(") {
                    return Err(no_function(token.at, name));
                }
                steps.push(Step::Name(name.to_owned()));
            } else if self.follows("[") {
                self.next += 1;
                steps.push(self.index()?);
            } else {
                return self.node(at, Syntax::Path(Path::from_steps(steps)));
            }
        }
    }

    fn index(&mut self) -> Result<Step, Mistake> {
        let token = self.take();
        let index = match token.what {
            What::Number(text) => text.parse().ok(),
            _ => None,
        };
        let Some(index) = index else {
            let message = "an index other than a whole number is not supported yet";
            return Err(Mistake::new(token.at, message));
        };
        let close = self.take();
        match close.what {
            What::Sign("]") => Ok(Step::Index(index)),
            _ => Err(Mistake::new(close.at, "`]` is expected")),
        }
    }

    fn no_operator(&self, token: &Token<'t>) -> Mistake {
        let written = &self.text[token.at..token.end];
        match written {
            "in" => Mistake::not_yet(token.at, "the operator", "in"),
            "and" | "AND" => Mistake::new(token.at, format!("`{written}` is no operator"))
                .remedied("did you mean `&&`?"),
            "or" | "OR" => Mistake::new(token.at, format!("`{written}` is no operator"))
                .remedied("did you mean `||`?"),
            _ => Mistake::new(token.at, format!("an operator is expected, not `{written}`")),
        }
    }
}

fn no_function(at: usize, name: &str) -> Mistake {
    let what = if MACROS.contains(&name) { "the macro" } else { "the function" };
    Mistake::not_yet(at, what, &format!("{name}()"))
}

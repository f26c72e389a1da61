//! Paths of a mapping: checked against the source schema, then followed in each document.

use waybill_parsers::{DataType, Element, ElementId, Kind, Node, Path, Schema, Step, schema};

use super::budget::Work;

/// The type of a value, as far as the schema tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Text.
    Text,
    /// An exact decimal.
    Decimal,
    /// `true` or `false`.
    Bool,
    /// No value at all.
    Null,
    /// Known only when the document is there, because the schema is open.
    Any,
}

/// The names that a path may begin with: the fields of the source and the loop variables.
#[derive(Debug)]
pub(crate) struct Names<'s> {
    schema: &'s Schema,
    variables: Vec<Variable>,
}

#[derive(Debug)]
struct Variable {
    name: String,
    /// What the variable stands for; `None` where the schema is open.
    element: Option<ElementId>,
}

/// What is wrong with a path, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadPath {
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

impl BadPath {
    fn new(message: String, remedy: Option<String>) -> Self {
        Self { message, remedy }
    }
}

/// What the checked steps of a path lead to; `None` where the schema is open.
type Found = Option<ElementId>;

impl<'s> Names<'s> {
    /// The names of a document of `schema`, outside of every loop.
    pub(crate) fn of(schema: &'s Schema) -> Self {
        Self { schema, variables: Vec::new() }
    }

    /// Adds a loop variable that stands for what `repeat` finds.
    ///
    /// # Errors
    ///
    /// The name is taken: a path could mean either.
    pub(crate) fn enter(&mut self, name: &str, repeat: &Repeat) -> Result<(), BadPath> {
        let root = self.schema.root();
        let taken = self.variables.iter().any(|variable| variable.name == name)
            || self.schema.child(root, name).is_some();
        self.variables.push(Variable { name: name.to_owned(), element: repeat.element });
        if taken {
            let message = format!("`{name}` is already the name of something else here");
            return Err(BadPath::new(message, Some("choose another name".to_owned())));
        }
        Ok(())
    }

    /// Takes away the variable added last.
    pub(crate) fn leave(&mut self) {
        self.variables.pop();
    }

    /// A path that must lead to a single value.
    pub(crate) fn value(&self, path: &Path) -> Result<(Lookup, Type), BadPath> {
        let (lookup, found) = self.lookup(path, false)?;
        let Some(id) = found else {
            return Ok((lookup, Type::Any));
        };
        let element = self.schema.element(id);
        let many = element.kind == Kind::List;
        match self.type_of(element) {
            Some(kind) => Ok((lookup, kind)),
            None if many => Err(self.unlooped(path, "is a list")),
            None => {
                let fields = element.children().iter().map(|id| &self.schema.element(*id).name);
                let fields: Vec<&str> = fields.map(String::as_str).take(12).collect();
                let remedy = format!("it holds {}", fields.join(", "));
                let remedy = if fields.is_empty() { None } else { Some(remedy) };
                Err(BadPath::new(format!("`{path}` is not a single value"), remedy))
            }
        }
    }

    /// A path that must lead to something that repeats.
    pub(crate) fn repeat(&self, path: &Path) -> Result<Repeat, BadPath> {
        let (lookup, found) = self.lookup(path, true)?;
        let element = match found {
            None => None,
            Some(id) => {
                let element = self.schema.element(id);
                match element.kind {
                    Kind::List => element.children().first().copied(),
                    _ if element.max > 1 => Some(id),
                    _ if element.open && element.children().is_empty() => None,
                    _ => return Err(BadPath::new(format!("`{path}` is not a list"), None)),
                }
            }
        };
        let mut steps = lookup.path.steps().to_vec();
        let name = match steps.pop() {
            Some(Step::Name(name)) => Some(name),
            other => {
                steps.extend(other);
                None
            }
        };
        let head = Path::from_steps(steps);
        Ok(Repeat { start: lookup.start, head, name, element, written: path.to_string() })
    }

    fn type_of(&self, element: &Element) -> Option<Type> {
        if element.open {
            return Some(Type::Any);
        }
        match (element.kind, element.data) {
            (Kind::Group | Kind::Segment | Kind::List, _) => None,
            (Kind::Null, _) => Some(Type::Any),
            (Kind::Number, _) | (_, DataType::Decimal) => Some(Type::Decimal),
            (Kind::Bool, _) | (_, DataType::Bool) => Some(Type::Bool),
            _ => Some(Type::Text),
        }
    }

    fn lookup(&self, path: &Path, repeats: bool) -> Result<(Lookup, Found), BadPath> {
        let first = match path.steps().first() {
            Some(Step::Name(name)) => name.as_str(),
            _ => "",
        };
        let variable = self.variables.iter().rposition(|variable| variable.name == first);
        let (start, from, steps) = match variable {
            Some(at) => {
                (Start::Item(at), self.variables[at].element, path.steps().get(1..).unwrap_or(&[]))
            }
            None => (Start::Root, Some(self.schema.root()), path.steps()),
        };
        let found = self.walk(path, from, steps, repeats)?;
        let rest = Path::from_steps(steps.to_vec());
        Ok((Lookup { start, path: rest, written: path.to_string() }, found))
    }

    /// Follows `steps`, the last ones of `path`, as far as the schema declares them.
    fn walk(
        &self,
        path: &Path,
        from: Found,
        steps: &[Step],
        repeats: bool,
    ) -> Result<Found, BadPath> {
        let mut at = from;
        for (number, step) in steps.iter().enumerate() {
            let Some(id) = at else {
                return Ok(None);
            };
            let element = self.schema.element(id);
            let next = steps.get(number + 1);
            at = match step {
                Step::Index(_) if element.kind == Kind::List => element.children().first().copied(),
                Step::Index(_) => Some(id),
                Step::Name(_) if element.kind == Kind::List => {
                    return Err(self.unlooped(path, "goes through a list"));
                }
                Step::Name(name) => match self.schema.child(id, name) {
                    Some(child) => {
                        let indexed = matches!(next, Some(Step::Index(_)));
                        let wanted = repeats && next.is_none();
                        if self.schema.element(child).max > 1 && !indexed && !wanted {
                            return Err(self.unlooped(path, "meets what repeats"));
                        }
                        Some(child)
                    }
                    None if element.open => None,
                    None => return Err(self.unknown(path, id, name)),
                },
            };
        }
        Ok(at)
    }

    fn unlooped(&self, path: &Path, how: &str) -> BadPath {
        let message = format!("`{path}` {how}, so it means no single value");
        let remedy = "loop over it with `for_each`, or take one by its index: `[0]`";
        BadPath::new(message, Some(remedy.to_owned()))
    }

    fn unknown(&self, path: &Path, parent: ElementId, name: &str) -> BadPath {
        let fields = self.schema.element(parent).children().iter();
        let mut names: Vec<&str> =
            fields.map(|id| self.schema.element(*id).name.as_str()).collect();
        if parent == self.schema.root() {
            names.extend(self.variables.iter().map(|variable| variable.name.as_str()));
        }
        let remedy = match schema::nearest(name, names.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if names.is_empty() || names.len() > 12 => None,
            None => Some(format!("known: {}", names.join(", "))),
        };
        BadPath::new(format!("unknown field `{path}`"), remedy)
    }
}

/// Where a path starts.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// At the source document.
    Root,
    /// At the current item of the loop with this number, from the outside in.
    Item(usize),
}

/// A checked path to a value.
#[derive(Debug)]
pub(crate) struct Lookup {
    start: Start,
    /// From the start on; without steps for a loop variable itself.
    path: Path,
    written: String,
}

/// A checked path to what a loop goes over.
#[derive(Debug)]
pub(crate) struct Repeat {
    start: Start,
    /// To the holder of what repeats; to the list itself where the list has no name of its own.
    head: Path,
    name: Option<String>,
    element: Found,
    written: String,
}

/// The document being mapped and the loops that run.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    root: Node<'a>,
    items: Vec<Item<'a>>,
    /// What is done in it is counted here.
    pub(crate) work: &'a Work,
}

#[derive(Clone, Copy, Debug)]
struct Item<'a> {
    node: Node<'a>,
    index: usize,
    of: &'a Repeat,
}

impl<'a> Scope<'a> {
    /// The scope outside of every loop.
    pub(crate) fn new(root: Node<'a>, work: &'a Work) -> Self {
        Self { root, items: Vec::new(), work }
    }

    /// Makes `node` the current item, number `index` from 0, of the loop over `of`.
    pub(crate) fn enter(&mut self, of: &'a Repeat, node: Node<'a>, index: usize) {
        self.items.push(Item { node, index, of });
    }

    /// Ends the current item of the innermost loop.
    pub(crate) fn leave(&mut self) {
        self.items.pop();
    }

    fn start(&self, start: Start) -> Option<Node<'a>> {
        match start {
            Start::Root => Some(self.root),
            Start::Item(at) => self.items.get(at).map(|item| item.node),
        }
    }

    fn find(&self, start: Start, path: &Path) -> Option<Node<'a>> {
        let mut visited = 1;
        let found = path.find_counting(self.start(start)?, &mut visited);
        self.work.spend(visited);
        found
    }

    /// A path as the reader of a message finds it: loop variables become what they stand for.
    fn expanded(&self, start: Start, written: &str) -> String {
        let Start::Item(at) = start else {
            return written.to_owned();
        };
        let Some(item) = self.items.get(at) else {
            return written.to_owned();
        };
        let list = self.expanded(item.of.start, &item.of.written);
        let rest = written.find(['.', '[']).map_or("", |at| &written[at..]);
        format!("{list}[{}]{rest}", item.index)
    }
}

impl Lookup {
    /// The node at the end of the path.
    pub(crate) fn find<'a>(&self, scope: &Scope<'a>) -> Option<Node<'a>> {
        scope.find(self.start, &self.path)
    }

    /// The path for messages, with the items that the loops are at.
    pub(crate) fn place(&self, scope: &Scope<'_>) -> String {
        scope.expanded(self.start, &self.written)
    }
}

impl Repeat {
    /// Every item with its number from 0. Nulls are no items.
    pub(crate) fn items<'a>(
        &'a self,
        scope: &Scope<'a>,
    ) -> impl Iterator<Item = (usize, Node<'a>)> + use<'a> {
        let holder = scope.find(self.start, &self.head);
        let (name, work) = (self.name.as_deref(), scope.work);
        let named = move |child: &Node<'a>| {
            work.spend(1);
            name.is_none_or(|name| child.name() == name)
        };
        let children = holder.into_iter().flat_map(Node::children).filter(named);
        let items = children.flat_map(move |child| {
            let list = (name.is_some() && child.kind() == Kind::List).then(|| child.children());
            let single = list.is_none().then_some(child);
            list.into_iter().flatten().chain(single)
        });
        items.enumerate().filter(|(_, item)| item.kind() != Kind::Null)
    }
}

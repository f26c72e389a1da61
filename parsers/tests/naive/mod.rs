//! Trees that naive readers make, and whether a document is one of them by every way there is.

use waybill_parsers::{Builder, Document, Kind, Node, Path, Step};

/// A node with all below it, and where it begins in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) offset: usize,
    pub(crate) children: Vec<Self>,
}

impl Tree {
    pub(crate) fn leaf(kind: Kind, name: &str, text: &str, offset: usize) -> Self {
        let (name, text) = (name.to_owned(), text.to_owned());
        Self { kind, name, text, offset, children: Vec::new() }
    }

    pub(crate) fn node(kind: Kind, name: &str, offset: usize, children: Vec<Self>) -> Self {
        Self { children, ..Self::leaf(kind, name, "", offset) }
    }

    pub(crate) fn of(node: Node<'_>) -> Self {
        let mut tree = Self::leaf(node.kind(), node.name(), node.text(), node.offset());
        tree.children = node.children().map(Self::of).collect();
        tree
    }

    fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }

    /// A document with a slot for each node.
    pub(crate) fn document(&self) -> Document {
        let mut builder = Builder::new();
        self.put(&mut builder);
        builder.finish()
    }

    fn put(&self, builder: &mut Builder) {
        if self.children.is_empty() && !is_container(self.kind) {
            builder.put(self.kind, &self.name, &self.text, self.offset);
            return;
        }
        builder.open(self.kind, &self.name, self.offset);
        self.children.iter().for_each(|child| child.put(builder));
        builder.close();
    }
}

fn is_container(kind: Kind) -> bool {
    matches!(kind, Kind::Group | Kind::Segment | Kind::List)
}

/// Asserts that `document` is `tree`, whichever way it is looked at.
pub(crate) fn assert_same(document: &Document, tree: &Tree) {
    assert_eq!(&Tree::of(document.root()), tree);
    let plain = tree.document();
    assert_eq!((document, &plain), (&plain, document));
    assert_eq!((document.len(), plain.len()), (tree.count(), tree.count()));
    assert_eq!(format!("{document:?}"), format!("{plain:?}"));
    let copy = document.clone();
    assert_eq!(&Tree::of(copy.root()), tree);
    let mut builder = Builder::new();
    builder.copy(document.root(), &tree.name);
    let nodes = tree.count();
    assert!(builder.has_room(nodes + 1) && !builder.has_room(nodes));
    assert_eq!(&Tree::of(builder.finish().root()), tree);
    ways(document, document.root(), tree);
}

/// Every way from a node to those below it.
fn ways(document: &Document, node: Node<'_>, tree: &Tree) {
    let all: Vec<_> = node.descendants().collect();
    let mut found = Vec::new();
    flatten(node, &mut found);
    let ids = |nodes: &[Node<'_>]| nodes.iter().map(|node| node.id()).collect::<Vec<_>>();
    assert_eq!((all.len(), ids(&all)), (tree.count(), ids(&found)));
    assert!(ids(&all).is_sorted());
    assert_eq!(node.is_scalar(), !is_container(tree.kind) && tree.kind != Kind::Null);
    assert_eq!(Tree::of(document.node(node.id())), *tree);
    assert!(node.nth(tree.children.len()).is_none());
    let last = tree.children.len().saturating_sub(4);
    // To look at every child of a long document takes too long.
    for (at, below) in tree.children.iter().enumerate().filter(|(at, _)| *at < 60 || *at > last) {
        let child = node.nth(at).unwrap();
        let by_name = node.child(&below.name).unwrap();
        let first = tree.children.iter().position(|other| other.name == below.name).unwrap();
        assert_eq!(by_name.id(), node.nth(first).unwrap().id());
        assert_eq!(node.children().skip(at).count(), tree.children.len() - at);
        let index = Path::from_steps(vec![Step::Index(at)]);
        assert_eq!(index.find(node).unwrap().id(), child.id());
        if node.kind() != Kind::List && below.kind != Kind::List {
            let same = tree.children[..at].iter().filter(|other| other.name == below.name);
            let steps = vec![Step::Name(below.name.clone()), Step::Index(same.count())];
            if tree.children[first].kind != Kind::List {
                let named = Path::from_steps(steps).find(node).unwrap();
                assert_eq!(named.id(), child.id());
            }
        }
        ways(document, child, below);
    }
    assert!(node.child("no such name").is_none());
}

fn flatten<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
    found.push(node);
    node.children().for_each(|child| flatten(child, found));
}

//! What the syntax trees of each language call functions and branches.

use tree_sitter::Node;

use crate::text;

/// A language whose functions are judged.
pub(super) struct Language {
    pub(super) name: &'static str,
    pub(super) grammar: fn() -> tree_sitter::Language,
    /// What starts a comment that ends with its line.
    pub(super) comment: &'static str,
    kinds: &'static [(Kind, &'static [&'static str])],
    logical: &'static [&'static str],
}

/// What a node means for the complexity of its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    /// `if`, a conditional expression, a handler of exceptions.
    Branch,
    /// `else if`.
    ElseIf,
    Else,
    Loop,
    /// `switch`, `match`, `select`.
    Choice,
    /// One alternative of a choice.
    Case,
    /// `and`, `or`.
    Logical,
    Other,
}

/// The language of a file, if its functions are judged.
pub(super) fn of(path: &str) -> Option<&'static Language> {
    match text::language(path) {
        "python" => Some(&PYTHON),
        "javascript" => Some(&JAVASCRIPT),
        // only what is JavaScript too will parse
        "typescript" => Some(&TYPESCRIPT),
        "go" => Some(&GO),
        _ => None,
    }
}

impl Language {
    /// Why a file whose first wrong line is known is not judged.
    pub(super) fn refusal(&self, line: u32) -> String {
        match self.name {
            // types are no mistake, so their place says nothing
            "TypeScript" => "is TypeScript that is not also JavaScript".to_owned(),
            name => format!("does not parse as {name} at line {line}"),
        }
    }

    /// What a node means.
    pub(super) fn kind(&self, node: Node<'_>) -> Kind {
        let name = node.kind();
        let named = self.kinds.iter().find(|(_, names)| names.contains(&name) && node.is_named());
        let kind = named.map_or(Kind::Other, |(kind, _)| *kind);
        if kind == Kind::Branch && is_else_if(node) {
            return Kind::ElseIf;
        }
        let ignored =
            kind == Kind::Else && !is_else(node) || kind == Kind::Logical && !self.is_logical(node);
        if ignored { Kind::Other } else { kind }
    }

    fn is_logical(&self, node: Node<'_>) -> bool {
        operator(node).is_some_and(|operator| self.logical.contains(&operator))
    }

    /// Whether a logical operator goes on with a sequence of the same operator.
    pub(super) fn continues(&self, node: Node<'_>) -> bool {
        node.parent().is_some_and(|parent| {
            parent.kind() == node.kind() && operator(parent) == operator(node)
        })
    }
}

fn operator(node: Node<'_>) -> Option<&str> {
    node.child_by_field_name("operator").map(|operator| operator.kind())
}

/// Whether an `if` stands directly in an `else`.
fn is_else_if(node: Node<'_>) -> bool {
    node.kind() == "if_statement"
        && node.parent().is_some_and(|parent| match parent.kind() {
            "else_clause" => true,
            "if_statement" => parent.child_by_field_name("alternative") == Some(node),
            _ => false,
        })
}

/// Whether a node is an `else` of its own: not that of an `else if`, which counts with the `if`.
fn is_else(node: Node<'_>) -> bool {
    if node.kind() == "block" {
        return node.parent().is_some_and(|parent| {
            parent.kind() == "if_statement"
                && parent.child_by_field_name("alternative") == Some(node)
        });
    }
    !node.named_child(0).is_some_and(|child| child.kind() == "if_statement" && is_else_if(child))
}

const PYTHON: Language = Language {
    name: "Python",
    grammar: || tree_sitter_python::LANGUAGE.into(),
    comment: "#",
    kinds: &[
        (Kind::Function, &["function_definition"]),
        (
            Kind::Branch,
            &["if_statement", "conditional_expression", "except_clause", "except_group_clause"],
        ),
        (Kind::ElseIf, &["elif_clause"]),
        (Kind::Else, &["else_clause"]),
        (Kind::Loop, &["for_statement", "while_statement"]),
        (Kind::Choice, &["match_statement"]),
        (Kind::Case, &["case_clause"]),
        (Kind::Logical, &["boolean_operator"]),
    ],
    logical: &["and", "or"],
};

const JAVASCRIPT: Language = Language {
    name: "JavaScript",
    grammar: || tree_sitter_javascript::LANGUAGE.into(),
    comment: "//",
    kinds: &[
        (
            Kind::Function,
            &[
                "function_declaration",
                "function_expression",
                "generator_function_declaration",
                "generator_function",
                "arrow_function",
                "method_definition",
            ],
        ),
        (Kind::Branch, &["if_statement", "ternary_expression", "catch_clause"]),
        (Kind::Else, &["else_clause"]),
        (Kind::Loop, &["for_statement", "for_in_statement", "while_statement", "do_statement"]),
        (Kind::Choice, &["switch_statement"]),
        (Kind::Case, &["switch_case"]),
        (Kind::Logical, &["binary_expression"]),
    ],
    logical: &["&&", "||", "??"],
};

const TYPESCRIPT: Language = Language { name: "TypeScript", ..JAVASCRIPT };

const GO: Language = Language {
    name: "Go",
    grammar: || tree_sitter_go::LANGUAGE.into(),
    comment: "//",
    kinds: &[
        (Kind::Function, &["function_declaration", "method_declaration", "func_literal"]),
        (Kind::Branch, &["if_statement"]),
        // only the block behind `else`
        (Kind::Else, &["block"]),
        (Kind::Loop, &["for_statement"]),
        (
            Kind::Choice,
            &["expression_switch_statement", "type_switch_statement", "select_statement"],
        ),
        (Kind::Case, &["expression_case", "type_case", "communication_case"]),
        (Kind::Logical, &["binary_expression"]),
    ],
    logical: &["&&", "||"],
};

//! Calls and macros that may panic, and what stands in their arguments.

use syn::punctuated::Punctuated;
use syn::{Expr, Token};

/// Macros of the standard library and its neighbours whose arguments are expressions.
const EXPRESSION_MACROS: &[&str] = &[
    "assert",
    "assert_eq",
    "assert_ne",
    "dbg",
    "debug",
    "eprint",
    "eprintln",
    "error",
    "format",
    "format_args",
    "info",
    "print",
    "println",
    "trace",
    "vec",
    "warn",
    "write",
    "writeln",
];
/// Methods whose error says that another thread panicked: unwrapping it passes the panic on.
const POISONED: &[&str] = &["lock", "read", "write", "join", "into_inner", "get_mut"];

/// The expressions in the arguments of a macro, if it is known to take expressions and they parse.
pub(super) fn arguments(mac: &syn::Macro, name: &str) -> Vec<Expr> {
    if !EXPRESSION_MACROS.contains(&name) {
        return Vec::new();
    }
    let parsed = mac.parse_body_with(Punctuated::<Argument, Token![,]>::parse_terminated);
    parsed
        .map(|arguments| arguments.into_iter().map(|argument| argument.0).collect())
        .unwrap_or_default()
}

/// Whether what is unwrapped is the panic of another thread.
pub(super) fn passes_a_panic_on(receiver: &Expr) -> bool {
    matches!(receiver, Expr::MethodCall(call) if call.args.is_empty() && POISONED.iter().any(|name| call.method == name))
}

/// Whether the argument of `expect` is a message, not what a parser expects next.
pub(super) fn is_text(argument: &Expr) -> bool {
    if let Expr::Reference(reference) = argument {
        return is_text(&reference.expr);
    }
    matches!(argument, Expr::Lit(literal) if matches!(literal.lit, syn::Lit::Str(_)))
        || matches!(argument, Expr::Macro(mac) if mac.mac.path.is_ident("format") || mac.mac.path.is_ident("concat"))
}

/// One argument of a formatting macro; a named one counts by its value.
struct Argument(Expr);

impl syn::parse::Parse for Argument {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let expression = input.parse()?;
        Ok(if let Expr::Assign(named) = expression { Self(*named.right) } else { Self(expression) })
    }
}

//! One walk over the syntax tree of a Rust file, which makes all its findings and its metrics.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Expr};

use super::rules::{self, Rule};
use super::{attributes, calls, safety};
use crate::complexity::Counts;
use crate::finding::{FileMetrics, Finding, Review};
use crate::limits::{COMPLEXITY_MAX, FINDINGS_PER_FILE_MAX, FUNCTION_LINES_MAX};
use crate::{Skipped, SourceFile, text};

/// Reviews a whole file.
pub(super) fn file(file: &SourceFile<'_>, text: &str, tree: &syn::File) -> Review {
    let mut visitor = Visitor::new(file, text);
    visitor.scope(&tree.attrs, |visitor| visit::visit_file(visitor, tree));
    visitor.finish()
}

/// Reviews the statements of a fragment.
pub(super) fn statements(file: &SourceFile<'_>, text: &str, statements: &[syn::Stmt]) -> Review {
    let mut visitor = Visitor::new(file, text);
    for statement in statements {
        visitor.visit_stmt(statement);
    }
    visitor.finish()
}

/// A line or column of the parser as ours.
pub(super) fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

struct Visitor<'a> {
    path: &'a str,
    lines: Vec<&'a str>,
    metrics: FileMetrics,
    findings: Vec<Finding>,
    /// Findings over the limit.
    dropped: usize,
    /// The functions around this place, innermost last.
    functions: Vec<Function>,
    /// Rules that are switched off here.
    allowed: Vec<&'static str>,
    /// Whether this place is only reached by tests, or made by a program.
    blameless: bool,
    /// Whether this place is evaluated by the compiler.
    constant: bool,
    /// The operator of the `&&` or `||` sequence around this place.
    logical: Option<&'static str>,
}

#[derive(Default)]
struct Function {
    counts: Counts,
    documents_panics: bool,
    documents_safety: bool,
}

impl<'a> Visitor<'a> {
    fn new(file: &SourceFile<'a>, text: &'a str) -> Self {
        Self {
            path: file.path,
            lines: text.lines().collect(),
            metrics: text::measure(file.path, text),
            findings: Vec::new(),
            dropped: 0,
            functions: Vec::new(),
            allowed: Vec::new(),
            // nobody repairs what a program made
            blameless: file.test || text::says_generated(text) || text::is_foreign(file.path),
            constant: false,
            logical: None,
        }
    }

    fn finish(mut self) -> Review {
        let mut skipped = Vec::new();
        if self.dropped > 0 {
            let reason = format!(
                "{} findings over the limit of {FINDINGS_PER_FILE_MAX} a file",
                self.dropped
            );
            skipped.push(Skipped { file: self.path.to_owned(), reason });
        }
        self.findings.sort();
        Review { findings: self.findings, metrics: vec![self.metrics], skipped }
    }

    /// Visits what stands below some attributes.
    fn scope(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let (blameless, allowed) = (self.blameless, self.allowed.len());
        self.blameless |= attributes::is_test(attributes);
        self.allowed.extend(attributes::allowed(attributes));
        visit(self);
        self.blameless = blameless;
        self.allowed.truncate(allowed);
    }

    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.constant, true);
        visit(self);
        self.constant = before;
    }

    fn find(&mut self, span: Span, rule: &Rule, message: String) {
        if self.allowed.contains(&rule.name) {
            return;
        }
        if self.findings.len() >= FINDINGS_PER_FILE_MAX {
            self.dropped += 1;
            return;
        }
        let (start, end) = (span.start(), span.end());
        let finding = Finding::new(self.path, number(start.line), rule.name, message)
            .severity(rule.severity)
            .span(number(start.column).saturating_add(1), number(end.line))
            .suggest(rule.suggestion);
        self.findings.push(finding);
    }

    fn counts(&mut self) -> Option<&mut Counts> {
        self.functions.last_mut().map(|function| &mut function.counts)
    }

    /// Visits a branch whose inside is one level deeper.
    fn deeper(&mut self, visit: impl FnOnce(&mut Self)) {
        let logical = self.logical.take();
        if let Some(counts) = self.counts() {
            counts.enter();
        }
        visit(self);
        if let Some(counts) = self.counts() {
            counts.leave();
        }
        self.logical = logical;
    }

    fn function(
        &mut self,
        attributes: &[Attribute],
        signature: &syn::Signature,
        block: &syn::Block,
    ) {
        self.functions.push(Function {
            counts: Counts::default(),
            documents_panics: attributes::documents(attributes, "Panics"),
            documents_safety: attributes::documents(attributes, "Safety"),
        });
        let logical = self.logical.take();
        self.visit_block(block);
        self.logical = logical;
        let counts = self.functions.pop().unwrap_or_default().counts;
        let (first, last) =
            (signature.fn_token.span.start().line, block.brace_token.span.close().end().line);
        let lines = text::code_lines(&self.lines, number(first), number(last), "//");
        self.metrics.functions = self.metrics.functions.saturating_add(1);
        self.metrics.function_lines_max = self.metrics.function_lines_max.max(lines);
        self.metrics.cyclomatic_max = self.metrics.cyclomatic_max.max(counts.cyclomatic());
        self.metrics.complexity_max = self.metrics.complexity_max.max(counts.cognitive());
        let name = signature.ident.span();
        let whole = name.join(block.brace_token.span.close()).unwrap_or(name);
        self.judge_size(&signature.ident, whole, lines, counts);
    }

    fn judge_size(&mut self, name: &syn::Ident, whole: Span, lines: u32, counts: Counts) {
        if self.blameless {
            return;
        }
        if counts.cognitive() > COMPLEXITY_MAX {
            let message = format!(
                "function `{name}` has a cognitive complexity of {} (limit {COMPLEXITY_MAX}) and {} paths",
                counts.cognitive(),
                counts.cyclomatic()
            );
            self.find(whole, &rules::COMPLEXITY, message);
        }
        if lines > FUNCTION_LINES_MAX {
            let message =
                format!("function `{name}` has {lines} lines of code (limit {FUNCTION_LINES_MAX})");
            self.find(whole, &rules::LENGTH, message);
        }
    }

    /// Whether a panic at this place would be a finding.
    fn may_not_panic(&self) -> bool {
        !self.blameless && !self.constant
    }

    fn documents_panics(&self) -> bool {
        self.functions.iter().any(|function| function.documents_panics)
    }

    fn judge_method(&mut self, call: &syn::ExprMethodCall) {
        if !self.may_not_panic() || calls::passes_a_panic_on(&call.receiver) {
            return;
        }
        let span = call.method.span();
        if call.method == "unwrap" && call.args.is_empty() {
            let message = "`.unwrap()` panics on `None` or `Err`".to_owned();
            self.find(span, &rules::UNWRAP, message);
        } else if call.method == "expect" && call.args.len() == 1 && !self.documents_panics() {
            if !call.args.first().is_some_and(calls::is_text) {
                return;
            }
            self.find(span, &rules::EXPECT, "`.expect(…)` panics on `None` or `Err`".to_owned());
        }
    }

    fn judge_macro(&mut self, mac: &syn::Macro) {
        let Some(segment) = mac.path.segments.last() else { return };
        let (name, span) = (segment.ident.to_string(), segment.ident.span());
        for argument in calls::arguments(mac, &name) {
            self.visit_argument(&argument);
        }
        if !self.may_not_panic() {
            return;
        }
        if name == "todo" || name == "unimplemented" {
            let message = format!("`{name}!` panics: there is no code behind it");
            self.find(span, &rules::TODO, message);
        } else if name == "panic" && !self.documents_panics() {
            let message = "`panic!` ends the thread, and no `# Panics` section says so".to_owned();
            self.find(span, &rules::PANIC, message);
        }
    }

    /// Visits an expression that does not live as long as the tree.
    fn visit_argument(&mut self, expression: &Expr) {
        Visit::visit_expr(self, expression);
    }

    fn judge_unsafe(&mut self, keyword: Span, what: &str, inside: Option<usize>) {
        let line = keyword.start().line;
        let documented = self.functions.iter().any(|function| function.documents_safety);
        if self.blameless || documented || safety::is_documented(&self.lines, line, inside) {
            return;
        }
        let message = format!("{what} has no `// SAFETY:` comment that says why it is sound");
        self.find(keyword, &rules::UNSAFE, message);
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.scope(attributes::of_item(item), |visitor| visit::visit_item(visitor, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.scope(&item.attrs, |visitor| visitor.function(&item.attrs, &item.sig, &item.block));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.scope(&item.attrs, |visitor| visitor.function(&item.attrs, &item.sig, block));
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(keyword) = &item.unsafety {
            self.judge_unsafe(keyword.span, "this `unsafe impl`", None);
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(|visitor| visit::visit_item_const(visitor, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        // a closure in a static, as of `LazyLock`, runs later
        self.constant(|visitor| visit::visit_item_static(visitor, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(|visitor| visit::visit_impl_item_const(visitor, item));
    }

    fn visit_expr_const(&mut self, block: &'ast syn::ExprConst) {
        self.constant(|visitor| visit::visit_expr_const(visitor, block));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if local.init.as_ref().is_some_and(|init| init.diverge.is_some())
            && let Some(counts) = self.counts()
        {
            counts.flat_branch(1);
        }
        self.scope(&local.attrs, |visitor| visit::visit_local(visitor, local));
    }

    fn visit_expr_block(&mut self, block: &'ast syn::ExprBlock) {
        self.scope(&block.attrs, |visitor| visit::visit_expr_block(visitor, block));
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        let inside = block.block.brace_token.span.open().end().line + 1;
        self.judge_unsafe(block.unsafe_token.span, "this `unsafe` block", Some(inside));
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.judge_method(call);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_try(&mut self, attempt: &'ast syn::ExprTry) {
        // `.expect(…)?` is a method of the user's own: that of the standard library gives nothing to pass on
        if let Expr::MethodCall(call) = &*attempt.expr
            && call.method == "expect"
        {
            visit::visit_expr_method_call(self, call);
        } else {
            self.visit_expr(&attempt.expr);
        }
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.judge_macro(mac);
    }

    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        if let Some(counts) = self.counts() {
            counts.nested_branch(1);
        }
        self.visit_branches(branch);
    }

    fn visit_expr_match(&mut self, choice: &'ast syn::ExprMatch) {
        let paths = number(choice.arms.len()).saturating_sub(1);
        if let Some(counts) = self.counts() {
            counts.nested_branch(paths);
        }
        self.visit_expr(&choice.expr);
        self.deeper(|visitor| choice.arms.iter().for_each(|arm| visitor.visit_arm(arm)));
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.scope(&arm.attrs, |visitor| visit::visit_arm(visitor, arm));
    }

    fn visit_pat_guard(&mut self, guard: &'ast syn::PatGuard) {
        if let Some(counts) = self.counts() {
            counts.path();
        }
        visit::visit_pat_guard(self, guard);
    }

    fn visit_expr_while(&mut self, repeat: &'ast syn::ExprWhile) {
        if let Some(counts) = self.counts() {
            counts.nested_branch(1);
        }
        self.visit_expr(&repeat.cond);
        self.deeper(|visitor| visitor.visit_block(&repeat.body));
    }

    fn visit_expr_for_loop(&mut self, repeat: &'ast syn::ExprForLoop) {
        if let Some(counts) = self.counts() {
            counts.nested_branch(1);
        }
        self.visit_expr(&repeat.expr);
        self.deeper(|visitor| visitor.visit_block(&repeat.body));
    }

    fn visit_expr_loop(&mut self, repeat: &'ast syn::ExprLoop) {
        if let Some(counts) = self.counts() {
            counts.nested_branch(0);
        }
        self.deeper(|visitor| visitor.visit_block(&repeat.body));
    }

    fn visit_expr_break(&mut self, jump: &'ast syn::ExprBreak) {
        if let (Some(_), Some(counts)) = (&jump.label, self.counts()) {
            counts.flat_branch(0);
        }
        visit::visit_expr_break(self, jump);
    }

    fn visit_expr_continue(&mut self, jump: &'ast syn::ExprContinue) {
        if let (Some(_), Some(counts)) = (&jump.label, self.counts()) {
            counts.flat_branch(0);
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        let constant = std::mem::replace(&mut self.constant, false);
        self.deeper(|visitor| visit::visit_expr_closure(visitor, closure));
        self.constant = constant;
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let and = matches!(binary.op, BinOp::And(_)).then_some("&&");
        let operator = and.or_else(|| matches!(binary.op, BinOp::Or(_)).then_some("||"));
        let before = std::mem::replace(&mut self.logical, operator);
        if operator.is_some()
            && let Some(counts) = self.counts()
        {
            if before == operator { counts.path() } else { counts.flat_branch(1) }
        }
        visit::visit_expr_binary(self, binary);
        self.logical = before;
    }
}

impl Visitor<'_> {
    /// Visits an `if` and its `else if`s, which stand at one level.
    fn visit_branches(&mut self, first: &syn::ExprIf) {
        let mut branch = first;
        loop {
            self.visit_argument(&branch.cond);
            self.deeper(|visitor| Visit::visit_block(visitor, &branch.then_branch));
            match branch.else_branch.as_ref().map(|(_, other)| &**other) {
                None => return,
                Some(Expr::If(next)) => {
                    if let Some(counts) = self.counts() {
                        counts.flat_branch(1);
                    }
                    branch = next;
                }
                Some(other) => {
                    if let Some(counts) = self.counts() {
                        counts.flat_branch(0);
                    }
                    return self.deeper(|visitor| visitor.visit_argument(other));
                }
            }
        }
    }
}

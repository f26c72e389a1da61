//! `waybill check`: every mistake of every file, at once.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::agent::Setup;
use crate::cli::args::Check;
use crate::cli::output::Output;
use crate::cli::{CliError, Said, output};
use crate::config::load::Written;
use crate::diagnostic::{Diagnostic, Problems};
use crate::plan::Plan;
use crate::tls::TlsError;
use crate::tls::server::{Served, Trouble};
use crate::visible::visible;

/// A mistake as JSON shows it.
#[derive(Serialize)]
struct Mistake<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
    remedy: Option<&'a str>,
}

pub(super) fn check(
    path: PathBuf,
    options: &Check,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    match compile(&path).and_then(with_certificates) {
        Ok((written, plan)) => {
            if options.json {
                return Ok(Said::Yes);
            }
            let config = &written.config;
            writeln!(
                out,
                "{}: no mistakes ({} sources, {} targets, {} routes, {} mappings, {} lifecycles; plan {})",
                path.display(),
                config.sources.len(),
                config.targets.len(),
                config.routes.len(),
                written.mappings.len(),
                written.lifecycles.len(),
                &plan.digest().to_string()[..12],
            )?;
            Ok(Said::Yes)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                if options.json {
                    output::json_line(out, &as_json(mistake))?;
                } else {
                    out.rendered(&render(mistake, out.is_coloured()))?;
                    writeln!(out)?;
                }
            }
            if !options.json {
                let plural = if mistakes.len() == 1 { "" } else { "s" };
                writeln!(out, "{} mistake{plural}", mistakes.len())?;
            }
            Ok(Said::No)
        }
    }
}

/// Loads and compiles; all mistakes of loading and compiling together.
fn compile(path: &Path) -> Result<(Written, Plan), Vec<Diagnostic>> {
    Setup::of(path).load(1).map(|loaded| (loaded.written, loaded.plan))
}

/// The files of the port have to be there before the agent is, or nobody can watch over it. A running
/// agent waits for them instead, so this is no part of compiling.
fn with_certificates((written, plan): (Written, Plan)) -> Result<(Written, Plan), Vec<Diagnostic>> {
    let tls = written.config.http.as_ref().and_then(|listen| listen.tls.as_ref());
    match tls.map(|tls| Served::read(tls, &written.base)) {
        None | Some(Ok(_)) => Ok((written, plan)),
        Some(Err(troubles)) => {
            let mut problems = Problems::new(written.file);
            let remedy = "paths are relative to the configuration file";
            for Trouble { mark, error } in troubles {
                let message = format!("http.tls: {error}");
                match error {
                    TlsError::File { .. } => problems.advise(mark, message, remedy),
                    _ => problems.add(mark, message),
                }
            }
            Err(problems.into_list())
        }
    }
}

/// For the commands that need a plan: shows the mistakes on standard error.
pub(super) fn compiled(path: &Path) -> Result<(Written, Plan), CliError> {
    compile(path).map_err(shown)
}

/// Shows the mistakes on standard error.
pub(super) fn shown(mistakes: Vec<Diagnostic>) -> CliError {
    let mut screen = Output::errors();
    let coloured = screen.is_coloured();
    for mistake in &mistakes {
        let shown = screen.rendered(&render(mistake, coloured));
        if shown.and_then(|()| writeln!(screen)).is_err() {
            break;
        }
    }
    CliError::Mistakes(mistakes.len())
}

fn as_json(mistake: &Diagnostic) -> Mistake<'_> {
    Mistake {
        file: &mistake.file,
        line: mistake.mark.line,
        column: mistake.mark.column,
        message: &mistake.message,
        remedy: mistake.remedy.as_deref(),
    }
}

/// A mistake with its line and a caret, as compilers show it, made visible.
fn render(mistake: &Diagnostic, coloured: bool) -> String {
    let mistake = &Diagnostic {
        file: visible(&mistake.file).into(),
        message: visible(&mistake.message).into_owned(),
        remedy: mistake.remedy.as_deref().map(|remedy| visible(remedy).into_owned()),
        ..mistake.clone()
    };
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let mark = mistake.mark;
    let Range { start: from, end: to } = mistake.span.clone();
    let part = |range| visible(mistake.excerpt.get(range).unwrap_or_default());
    let (before, marked) = (part(0..from), part(from..to));
    let excerpt = format!("{before}{marked}{}", part(to..mistake.excerpt.len()));
    let span = before.len()..before.len() + marked.len();
    let snippet = Snippet::source(excerpt.as_str())
        .line_start(mark.line)
        .path(&*mistake.file)
        .annotation(AnnotationKind::Primary.span(span));
    let mut group: Group<'_> =
        Level::ERROR.primary_title(mistake.message.as_str()).element(snippet);
    if let Some(remedy) = &mistake.remedy {
        group = group.element(Level::HELP.message(remedy.as_str()));
    }
    renderer.render(&[group])
}

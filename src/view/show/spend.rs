//! What a variant or an attempt cost, and its executions that did not count.

use super::{Subject, belongs};
use crate::domain::{Fault, JobId, Role};
use crate::view::cost;
use crate::view::line::clean;
use crate::view::page::Page;
use crate::view::style::{Ink, Style};
use crate::view::table::{Align, Table};

/// Adds what making and evaluating a number cost, by role.
pub(super) fn spend(page: &mut Page, subject: Subject<'_>, style: Style) {
    let books = subject.lineage.spend();
    let mut rows: Vec<_> = Role::ALL
        .into_iter()
        .map(|role| {
            let spend =
                books.total(|intent| intent.role == role && belongs(&intent.subject, subject.id));
            (role.name().to_owned(), spend)
        })
        .filter(|(_, spend)| spend.calls > 0)
        .collect();
    if rows.is_empty() {
        return;
    }
    if rows.len() > 1 {
        let total = books.total(|intent| belongs(&intent.subject, subject.id));
        rows.push(("total".to_owned(), total));
    }
    page.heading("Cost");
    let table = cost::named("role", rows);
    table.lines(style).iter().for_each(|line| page.line(line));
}

/// Adds the executions that did not count.
pub(super) fn faults(page: &mut Page, subject: Subject<'_>, style: Style) {
    let mut table = Table::new([
        ("of", Align::Left),
        ("outcome", Align::Left),
        ("run", Align::Right),
        ("detail", Align::Left),
    ]);
    let own = |fault: &&Fault| belongs(&fault.subject, subject.id);
    for fault in subject.lineage.faults().iter().filter(own) {
        let of = match &fault.subject {
            JobId::Attempt(_) => "attempt".to_owned(),
            JobId::Evaluation(key) => clean(key.task.as_str()),
            JobId::Regrade(key) => format!("{}, judged again", clean(key.task.as_str())),
            JobId::Manual => String::new(),
        };
        let cells = [
            of,
            fault.outcome.name().to_owned(),
            fault.run.0.to_string(),
            clean(&fault.detail),
        ];
        table.row(cells, Ink::Plain);
    }
    if !table.is_empty() {
        page.heading("Executions that did not count");
        page.block_of(table.lines(style), 12);
    }
}

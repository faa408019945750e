//! The parsers of test logs, by the names that rows give them.
//!
//! Each does what the official parser of that name does, oddities included: a score is only
//! comparable if the same log gives the same tests. None panics, whatever the log holds, and
//! each takes time in proportion to the log's length.

mod browser;
mod django;
mod doctest;
mod gradle;
mod jest;
mod lines;
mod listed;
mod mocha;
mod p5;
mod parsed;
mod pytest;
mod quarto;
mod reading;
mod sympy;

pub(super) use parsed::{About, Parsed, Unreadable};

type Parse = for<'a> fn(&'a str, About<'_>) -> Parsed<'a>;

/// A parser.
#[derive(Clone, Copy)]
pub struct Parser {
    name: &'static str,
    parse: Parse,
}

impl Parser {
    /// Returns the parser of that name.
    pub fn named(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(name, parse)| Self {
                name,
                parse: *parse,
            })
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Reads the tests of a log.
    pub(super) fn parse<'a>(self, log: &'a str, about: About<'_>) -> Parsed<'a> {
        (self.parse)(log, about)
    }
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every parser. Repositories have names of their own for what several share.
pub(super) const TABLE: &[(&str, Parse)] = &[
    // Python.
    ("parse_log_astroid", pytest::plain),
    ("parse_log_astropy", pytest::whole_line),
    ("parse_log_django", django::parse),
    ("parse_log_flask", pytest::plain),
    ("parse_log_marshmallow", pytest::plain),
    ("parse_log_matplotlib", pytest::mouse_buttons),
    ("parse_log_pvlib", pytest::plain),
    ("parse_log_pydicom", pytest::options),
    ("parse_log_pylint", pytest::options),
    ("parse_log_pytest", pytest::plain),
    ("parse_log_pytest_options", pytest::options),
    ("parse_log_pytest_v2", pytest::whole_line),
    ("parse_log_pyvista", pytest::plain),
    ("parse_log_requests", pytest::options),
    ("parse_log_scikit", pytest::whole_line),
    ("parse_log_seaborn", pytest::seaborn),
    ("parse_log_sphinx", pytest::whole_line),
    ("parse_log_sqlfluff", pytest::plain),
    ("parse_log_sympy", sympy::parse),
    ("parse_log_xarray", pytest::plain),
    // JavaScript.
    ("parse_log_bpmn_js", browser::bpmn_js),
    ("parse_log_calypso", jest::calypso),
    ("parse_log_carbon", jest::files),
    ("parse_log_chart_js", browser::chart_js),
    ("parse_log_eslint", listed::eslint),
    ("parse_log_grommet", jest::grommet),
    ("parse_log_highlightjs", mocha::highlight_js),
    ("parse_log_immutable_js", jest::immutable_js),
    ("parse_log_jest", jest::verbose),
    ("parse_log_jest_json", lines::jest_json),
    ("parse_log_karma", browser::karma),
    ("parse_log_lighthouse", mocha::lighthouse),
    ("parse_log_marked", lines::marked),
    ("parse_log_next", mocha::next),
    ("parse_log_openlayers", browser::openlayers),
    ("parse_log_p5js", p5::parse),
    ("parse_log_prismjs", mocha::prism_js),
    ("parse_log_quarto_cli", quarto::parse),
    ("parse_log_react_pdf", jest::files),
    ("parse_log_tap", lines::tap),
    ("parse_log_vitest", jest::vitest),
    // C and C++.
    ("parse_log_doctest", doctest::parse),
    ("parse_log_googletest", lines::googletest),
    ("parse_log_jq", lines::jq),
    ("parse_log_micropython_test", lines::micropython),
    ("parse_log_redis", lines::redis),
    // Go, Java, PHP, Ruby, Rust.
    ("parse_log_gotest", lines::gotest),
    ("parse_log_ant", lines::ant),
    ("parse_log_gradle_custom", gradle::parse),
    ("parse_log_maven", gradle::maven),
    ("parse_log_phpunit", lines::phpunit),
    ("parse_log_cucumber", lines::cucumber),
    ("parse_log_jekyll", lines::jekyll),
    ("parse_log_minitest", lines::minitest),
    ("parse_log_rspec_transformed_json", lines::rspec),
    ("parse_log_ruby_unit", lines::ruby_unit),
    ("parse_log_cargo", lines::cargo),
];

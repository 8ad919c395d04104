//! What a word is to a search: the rules that the stored index, the posts not yet indexed and memory share.
//!
//! It only turns text into words; it stores nothing and knows no query language.

use std::sync::LazyLock;

/// Words of a query that the index is asked for; a hit is then checked for all of them.
pub const ASKED_WORDS_MAX: usize = 32;
/// The last word is tried as the beginning of a word from this length on, in characters.
pub const PREFIX_CHARS_MIN: usize = 3;

/// Appends the words of `text` to `out`: folded, each followed by a space, the first preceded by one.
///
/// Folded means: lower case, Latin, Greek and Cyrillic letters without their marks. Scripts that are written
/// without spaces (Han, Kana, Thai …) and emoji give one word for each character, so that a run of them is
/// found inside a longer run.
pub fn spread(text: &str, out: &mut String) {
    out.push(' ');
    let mut is_inside = false;
    for c in text.chars() {
        if c.is_ascii() {
            if c.is_ascii_alphanumeric() {
                out.push(c.to_ascii_lowercase());
                is_inside = true;
            } else {
                end_word(out, &mut is_inside);
            }
        } else if stands_alone(c) {
            end_word(out, &mut is_inside);
            out.push(c);
            out.push(' ');
        } else if c.is_alphanumeric() {
            out.extend(unwidened(c).to_lowercase().filter(|c| !is_mark(*c)).map(bare));
            is_inside = true;
        } else if !is_mark(c) {
            end_word(out, &mut is_inside);
        }
    }
    end_word(out, &mut is_inside);
}

fn end_word(out: &mut String, is_inside: &mut bool) {
    // A letter that folds to nothing must not leave an empty word behind.
    if std::mem::take(is_inside) && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// What a person searches for: runs of words, as they stand between the blanks that were typed.
///
/// A run must be found in one piece: `e-mail` is the word `e` followed by `mail`. Punctuation is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Each as [`spread`] makes it: `" e mail "`.
    runs: Vec<String>,
    /// Whether the last word may be the beginning of a longer one.
    is_open: bool,
}

impl Query {
    /// Reads what a person typed; `None` if there is no word in it.
    pub fn parse(typed: &str) -> Option<Query> {
        let mut runs: Vec<String> = Vec::new();
        for piece in typed.split_whitespace() {
            let mut run = String::with_capacity(piece.len() + 2);
            spread(piece, &mut run);
            if run.len() > 1 && !runs.contains(&run) {
                runs.push(run);
            }
        }
        (!runs.is_empty()).then_some(Query { runs, is_open: false })
    }

    /// The same, with the last word as the beginning of a word; `None` if it is too short for that.
    pub fn opened(mut self) -> Option<Query> {
        let last = self.runs.last_mut().expect("a query has a run");
        let word = last.trim_end().rsplit(' ').next().unwrap_or_default();
        if word.chars().count() < PREFIX_CHARS_MIN {
            return None;
        }
        last.truncate(last.trim_end().len());
        self.is_open = true;
        Some(self)
    }

    /// Whether a text has all runs. `spread_text` is what [`spread`] made of it.
    pub fn matches(&self, spread_text: &str) -> bool {
        self.runs.iter().all(|run| spread_text.contains(run.as_str()))
    }

    /// The query in the language of SQLite's FTS5, and whether it is all that was asked.
    ///
    /// Words are in quotes and hold only letters and digits: nothing that is typed can become an operator.
    /// If it is not all, the posts that it finds are still to be put to [`Query::matches`].
    pub fn for_index(&self) -> (String, bool) {
        let mut out = String::new();
        let mut words = 0;
        for run in &self.runs {
            out.push('"');
            for word in run.split_ascii_whitespace() {
                if words == ASKED_WORDS_MAX {
                    out.push('"');
                    return (out, false);
                }
                out.push_str(word);
                out.push(' ');
                words += 1;
            }
            out.push_str("\" ");
        }
        if self.is_open {
            out.push('*');
        }
        (out, true)
    }
}

/// Whether a character is a word by itself.
fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0e30}' | '\u{0e32}'..='\u{0e33}' | '\u{0e40}'..='\u{0e46}' // Thai letters, not its marks
        | '\u{0e80}'..='\u{0eb0}' | '\u{0ec0}'..='\u{0ec6}' // Lao
        | '\u{1000}'..='\u{102a}' | '\u{1780}'..='\u{17b3}' // Myanmar, Khmer
        | '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' // Hangul
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' // Hiragana
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' // Katakana, Bopomofo
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Han
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}'
        | '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}') // emoji
}

/// Marks over and under letters: part of a word, and not written into it.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' | '\u{640}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{fe00}'..='\u{fe0f}')
}

/// Full-width Latin letters and digits, as East Asian keyboards make them, are the plain ones.
fn unwidened(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// A lower-case letter without its marks.
fn bare(c: char) -> char {
    let at = (c as usize).wrapping_sub(BARE_FROM);
    BARE.get(at).copied().filter(|bare| *bare != '\0').unwrap_or(c)
}

const BARE_FROM: usize = 0xc0;
const BARE_UPTO: usize = 0x2000;

static BARE: LazyLock<Box<[char]>> = LazyLock::new(|| {
    let mut table = vec!['\0'; BARE_UPTO - BARE_FROM].into_boxed_slice();
    for (base, marked) in MARKED {
        for c in marked.chars() {
            table[c as usize - BARE_FROM] = *base;
        }
    }
    table
});

/// Letters and the same letters with marks, from Unicode's canonical decompositions, and a few (ø, ł, đ …) that have
/// none but are typed without their strokes all the same.
#[rustfmt::skip]
const MARKED: &[(char, &str)] = &[
    ('a', "àáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ"),
    ('c', "çćĉċčḉ"),
    ('e', "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ"),
    ('i', "ìíîïĩīĭįǐȉȋḭḯỉịı"),
    ('n', "ñńņňǹṅṇṉṋ"),
    ('o', "òóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợøǿ"),
    ('u', "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự"),
    ('y', "ýÿŷȳẏẙỳỵỷỹ"),
    ('d', "ďḋḍḏḑḓđ"),
    ('g', "ĝğġģǧǵḡ"),
    ('h', "ĥȟḣḥḧḩḫẖħ"),
    ('j', "ĵǰ"),
    ('k', "ķǩḱḳḵ"),
    ('l', "ĺļľḷḹḻḽł"),
    ('r', "ŕŗřȑȓṙṛṝṟ"),
    ('s', "śŝşšșṡṣṥṧṩ"),
    ('t', "ţťțṫṭṯṱẗŧ"),
    ('w', "ŵẁẃẅẇẉẘ"),
    ('z', "źżžẑẓẕ"),
    ('æ', "ǣǽ"),
    ('ʒ', "ǯ"),
    ('ι', "ΐίϊἰἱἲἳἴἵἶἷὶίῐῑῒΐῖῗ"),
    ('α', "άἀἁἂἃἄἅἆἇὰάᾀᾁᾂᾃᾄᾅᾆᾇᾰᾱᾲᾳᾴᾶᾷ"),
    ('ε', "έἐἑἒἓἔἕὲέ"),
    ('η', "ήἠἡἢἣἤἥἦἧὴήᾐᾑᾒᾓᾔᾕᾖᾗῂῃῄῆῇ"),
    ('υ', "ΰϋύὐὑὒὓὔὕὖὗὺύῠῡῢΰῦῧ"),
    ('ο', "όὀὁὂὃὄὅὸό"),
    ('ω', "ώὠὡὢὣὤὥὦὧὼώᾠᾡᾢᾣᾤᾥᾦᾧῲῳῴῶῷ"),
    ('и', "йѝӣӥ"),
    ('е', "ѐёӗ"),
    ('г', "ѓ"),
    ('і', "ї"),
    ('к', "ќ"),
    ('у', "ўӯӱӳ"),
    ('ѵ', "ѷ"),
    ('ж', "ӂӝ"),
    ('а', "ӑӓ"),
    ('ә', "ӛ"),
    ('з', "ӟ"),
    ('о', "ӧ"),
    ('ө', "ӫ"),
    ('э', "ӭ"),
    ('ч', "ӵ"),
    ('ы', "ӹ"),
    ('b', "ḃḅḇ"),
    ('f', "ḟ"),
    ('m', "ḿṁṃ"),
    ('p', "ṕṗ"),
    ('v', "ṽṿ"),
    ('x', "ẋẍ"),
    ('ρ', "ῤῥ"),
    ('σ', "ς"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let mut out = String::new();
        spread(text, &mut out);
        out
    }

    fn check(typed: &str, text: &str, expect: bool) {
        let query = Query::parse(typed).expect("has a word");
        assert_eq!(query.matches(&words(text)), expect, "{typed:?} in {text:?}");
    }

    #[test]
    fn words_are_folded_and_apart() {
        assert_eq!(words("Hello, World!"), " hello world ");
        assert_eq!(words("Café Łódź ΣΊΣΥΦΟΣ Ёлка"), " cafe lodz σισυφοσ елка ");
        assert_eq!(words("cafe\u{301}s"), " cafes ");
        assert_eq!(words("ＡＢＣ１２"), " abc12 ");
        assert_eq!(words("İstanbul straße"), " istanbul straße ");
        assert_eq!(words("東京都 ok 👍🏽"), " 東 京 都 ok 👍 🏽 ");
        assert_eq!(words("?!… -- \u{301}"), " ");
        assert_eq!(words(""), " ");
    }

    #[test]
    fn a_run_is_found_in_one_piece_and_all_runs_must_be_there() {
        check("e-mail", "write an e-mail", true);
        check("e-mail", "mail e", false);
        check("tea milk", "milk, then tea", true);
        check("tea milk", "tea only", false);
        check("tea", "steam", false);
        check("京都", "東京都に行く", true);
        check("都京", "東京都に行く", false);
        check("ภาษา", "ฉันพูดภาษาไทย", true);
        check("résumé", "my RESUME", true);
    }

    #[test]
    fn what_is_typed_never_becomes_an_operator() {
        for typed in ["\"", "*", "a AND", "NOT", "(b OR \"c", "col:x", "^a", "a NEAR/2 b", "x'--; DROP"] {
            if let Some(query) = Query::parse(typed) {
                let (asked, _) = query.for_index();
                assert!(
                    asked.chars().all(|c| c.is_alphanumeric() || matches!(c, '"' | ' ')),
                    "{typed:?} became {asked:?}"
                );
            }
        }
        assert_eq!(Query::parse(" ?! \"*\" "), None);
    }

    #[test]
    fn the_last_word_can_be_the_beginning_of_one() {
        let open = Query::parse("our deplo").and_then(Query::opened).expect("long enough");
        assert!(open.matches(&words("our deployment")) && !open.matches(&words("our redeployment")));
        assert_eq!(open.for_index(), ("\"our \" \"deplo \" *".to_string(), true));
        assert_eq!(Query::parse("our de").and_then(Query::opened), None);
    }

    #[test]
    fn a_query_of_too_many_words_asks_the_index_for_some_and_says_so() {
        let typed: String = (0..2000).map(|n| format!("w{n} ")).collect();
        let (asked, is_all) = Query::parse(&typed).expect("has words").for_index();
        assert!(!is_all);
        assert_eq!(asked.matches('w').count(), ASKED_WORDS_MAX);
        assert_eq!(asked.matches('"').count() % 2, 0);
    }
}

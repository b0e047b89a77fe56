//! What people, bots and language models write, and what a phone shows of it.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::text_of;

#[test]
fn markers_go_and_what_they_mark_stays() {
    for (case, source, expected) in [
        ("plain", "Hello, how are you?", "Hello, how are you?"),
        ("bold and italic", "**bold** __bold__ *it* _it_ ***both***", "bold bold it it both"),
        ("bold within a line", "Pay **$5.00** by *Monday*.", "Pay $5.00 by Monday."),
        ("emphasis over lines", "**one\ntwo**", "one\ntwo"),
        ("heading", "# Your order\nIt has left.", "Your order\nIt has left."),
        ("heading and blank line", "## Your order ##\n\nIt has left.", "Your order\n\nIt has left."),
        ("underlined heading", "Your order\n==========\nIt has left.", "Your order\nIt has left."),
        ("paragraphs", "One.\n\n\n\nTwo.", "One.\n\nTwo."),
        ("single line ends", "One,\ntwo,\nthree.", "One,\ntwo,\nthree."),
        ("hard breaks", "One,  \ntwo,\\\nthree.", "One,\ntwo,\nthree."),
        ("bullets", "* a\n* b", "- a\n- b"),
        ("bullets after text", "You need:\n- a\n- b\n\nThat is all.", "You need:\n- a\n- b\n\nThat is all."),
        ("loose bullets", "- a\n\n- b", "- a\n\n- b"),
        ("numbers", "1. a\n2. b\n3. c", "1. a\n2. b\n3. c"),
        ("numbers by the renderer", "1. a\n1. b\n1. c", "1. a\n2. b\n3. c"),
        ("numbers from three", "3) a\n4) b", "3) a\n4) b"),
        ("nested lists", "- a\n  - b\n    1. c\n- d", "- a\n  - b\n    1. c\n- d"),
        ("a list in a numbered one", "1. a\n   - b\n2. c", "1. a\n  - b\n2. c"),
        ("paragraphs in an item", "- a\n\n  b\n- c", "- a\n\n  b\n- c"),
        ("lines in an item", "- a\n  b\n- c", "- a\n  b\n- c"),
        ("empty item", "-\n- b", "-\n- b"),
        ("item of an item", "- - a", "- - a"),
        ("tasks", "- [x] done\n- [ ] to do", "- [x] done\n- [ ] to do"),
        ("quote", "> one\n> two\n\nthree", "> one\n> two\n\nthree"),
        ("quoted paragraphs", "> one\n>\n> two", "> one\n\n> two"),
        ("list in a quote", "> - a\n> - b", "> - a\n> - b"),
        ("quote in a list", "- > a\n  > b", "- > a\n  > b"),
        ("link", "See [our page](https://x.example/a?b=1&c=2).", "See our page (https://x.example/a?b=1&c=2)."),
        ("link with a title", "[page](https://x.example \"Our page\")", "page (https://x.example)"),
        ("link that says it all", "[https://x.example](https://x.example)", "https://x.example"),
        ("link that says half of it", "[x.example](https://x.example/)", "https://x.example/"),
        ("link with emphasis", "[**now**](https://x.example)", "now (https://x.example)"),
        ("bold link", "**[now](https://x.example)**", "now (https://x.example)"),
        ("link without text", "[](https://x.example)", "https://x.example"),
        ("link without URL", "[here]()", "here"),
        ("link from a line end on", "See  [\né](https://x.example)", "See\né (https://x.example)"),
        (
            "link tag from a line end on",
            "See  <a href=\"https://x.example\">\nÜber</a> it",
            "See\nÜber (https://x.example) it",
        ),
        ("link from a line break tag on", "  [<br>…](https://x.example)", "… (https://x.example)"),
        ("autolink", "<https://x.example/a_b_c>", "https://x.example/a_b_c"),
        ("autolinked address", "<jo@x.example>", "jo@x.example"),
        ("mailto", "[jo@x.example](mailto:jo@x.example), [Jo](mailto:jo@x.example)", "jo@x.example, Jo (jo@x.example)"),
        ("tel", "[+1 202 555 0100](tel:+12025550100)", "+1 202 555 0100"),
        ("image", "![Our shop](https://x.example/a.png)", "Our shop (https://x.example/a.png)"),
        ("image without text", "![](https://x.example/a.png)", "https://x.example/a.png"),
        ("image that is a link", "[![logo](https://x.example/a.png)](https://x.example)", "logo (https://x.example)"),
        ("image in place of its URL", "![logo](data:image/png;base64,AAAA)", "logo"),
        ("code", "Type `a *b* <c>` now", "Type a *b* <c> now"),
        ("code block", "Run:\n```sh\nls *\n\n  cd _x_\n```\nThen stop.", "Run:\nls *\n\n  cd _x_\nThen stop."),
        ("indented code", "Run:\n\n    ls *\n    cd\n\nStop.", "Run:\n\nls *\ncd\n\nStop."),
        ("code in a list", "- a\n  ```\n  x\n  y\n  ```\n- b", "- a\n  x\n  y\n- b"),
        ("rule", "One\n\n***\n\nTwo", "One\n\n---\n\nTwo"),
        ("table", "| Size | Price |\n|:-----|------:|\n| S | **$5** |\n| M | $6 |", "Size | Price\nS | $5\nM | $6"),
        ("table with more cells", "a | b\n--|--\n1 | 2 | 3\n4", "a | b\n1 | 2 | 3\n4 |"),
        ("table with empty cells", "Sizes:\n\n| | S |\n|--|--|\n| Price | |\n| | 5 |", "Sizes:\n\n | S\nPrice |\n | 5"),
        ("code that looks like a definition", "`a[0]: 1`\n\n    [a]: b", "a[0]: 1\n\n[a]: b"),
        ("entities", "AT&amp;T &lt;b&gt; &eacute; &#8364; 5&nbsp;km &copy", "AT&T <b> é € 5 km &copy"),
        ("escapes", "\\*not bold\\* 1\\. \\# \\[x\\]", "*not bold* 1. # [x]"),
        ("tags", "<b>Hi</b> <i class=\"x\">you</i>", "Hi you"),
        ("line break tags", "One<br>two<br/>three<br><br>four", "One\ntwo\nthree\n\nfour"),
        ("link tags", "Go <a href=\"https://x.example\" target=_blank>there</a>.", "Go there (https://x.example)."),
        (
            "HTML block",
            "<div>\n<p>Hello <b>you</b> &amp; me</p>\n<ul><li>a</li><li>b</li></ul>\n</div>\n\nBye",
            "Hello you & me\n- a\n- b\n\nBye",
        ),
        ("link tag with a query", "<a href='https://x.example/?a=1&amp;b=2'>Go</a>", "Go (https://x.example/?a=1&b=2)"),
        ("HTML image", "<img src='https://x.example/a.png' alt='Our shop'>", "Our shop (https://x.example/a.png)"),
        ("comments", "Hi <!-- you --> there\n\n<!-- x\ny -->\n\nBye", "Hi  there\n\nBye"),
        ("programs", "<style>a < b</style>\n<script>alert('x')</script>\n<p>Hi", "Hi"),
    ] {
        assert_eq!(text_of(source), expected, "{case}");
    }
}

#[test]
fn what_merely_looks_like_markdown_survives() {
    for text in [
        "2 * 3 * 4",
        "2*3*4=24",
        "5*4=20 and 3*2=6",
        "c******ll@g****.com",
        "****ll@g****.com",
        "Card ****-****-****-1234",
        "***-**-1234",
        "J***n D**e",
        "Ž***k Č**a",
        "snake_case_name and _private",
        "#1 priority, C# and #help",
        "5. May",
        "2026. What a year",
        "007. Bond",
        "1. yes\n3. no",
        "1) yes\n2) no",
        "+ 5 kg",
        "- 5 kg",
        "a - b",
        "$5 < $6 > $4",
        "if a <b and c> d",
        "Dear <customer>, your <order number> is ready",
        "x<y",
        "<",
        "[Note]: urgent",
        "[1]: https://x.example",
        "See [1].\n\n[1]: https://x.example",
        "[draft] [x](y z)",
        "~~$100~~ $80",
        "~5 or ~6 days",
        "https://x.example/_a_/b?c=*d*&e=~f",
        "(see https://x.example/a_(b)_c)",
        "https://x.example/a__b__c",
        "AT&T, R&D; 100% & more",
        "5 ` tall",
        ":-) :* ^_^",
        "***",
        "#",
        ">",
        "a | b",
        "file_*.txt",
        "Total:\n---------",
        "\u{1f389} 🎉 ü",
    ] {
        // Signs of three kinds may change their look: a rule, an underline.
        let expected = match text {
            "***" => "---",
            "Total:\n---------" => "Total:",
            text => text,
        };
        assert_eq!(text_of(text), expected);
    }
}

#[test]
fn urls_keep_what_looks_like_emphasis_and_lose_what_is() {
    for (source, expected) in [
        ("**https://x.example/a**", "https://x.example/a"),
        ("_https://x.example/a_", "https://x.example/a"),
        ("**see https://x.example/_a_/b**", "see https://x.example/_a_/b"),
        ("*https://x.example* and *more*", "https://x.example and more"),
    ] {
        assert_eq!(text_of(source), expected);
    }
}

#[test]
fn deep_and_long_texts_take_milliseconds() {
    let size = 16 * 1024;
    let deep_quote = format!("{}a{}", ">".repeat(size / 2), "\nb".repeat(size / 4));
    let cases = [
        deep_quote.clone(),
        "- ".repeat(size / 2),
        "[".repeat(size),
        "[a](".repeat(size / 4),
        "*a_ ".repeat(size / 4),
        "**a".repeat(size / 3),
        "`".repeat(size),
        "`a``b".repeat(size / 5),
        "<".repeat(size),
        "<a".repeat(size / 2),
        "<!--".repeat(size / 4),
        "<div>\n<!--".repeat(size / 10),
        "<b><li>".repeat(size / 7),
        "<a href=x>".repeat(size / 10),
        "https://a*b* ".repeat(size / 13),
        "://".repeat(size / 3),
        "a | b\n--|--\n".repeat(size / 12),
        format!("|{}\n|{}\n", "a|".repeat(size / 4), "-|".repeat(size / 4)),
        "[a]: b\n".repeat(size / 7),
        "&amp;".repeat(size / 5),
        "1. ".repeat(size / 3),
    ];
    let start = Instant::now();
    for text in &cases {
        text_of(text);
    }
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    assert!(text_of(&deep_quote).len() < size * 10);
}

/// Punctuation at random, and what Markdown has a meaning for.
fn marks() -> impl Strategy<Value = String> {
    let meant = vec![
        " ",
        "\n",
        "\n\n",
        "\n[",
        "]: ",
        "]:",
        "][",
        "](",
        ") ",
        "\n- ",
        "\n  - ",
        "\n1. ",
        "\n> ",
        "\n# ",
        " | ",
        "\n--|--\n",
        " **",
        "** ",
        "*",
        "_",
        "\n    ",
        "\\\n",
        "  \n",
        "![",
        "://",
        "\n\n[Note]: ",
        "\n\na | b\n--|--\n1 | 2 | ",
    ];
    prop_oneof!["[ \n*_#>+.:;,|~=!?/\\\\@$%{}\\[\\])-]{1,4}", prop::sample::select(meant).prop_map(str::to_owned)]
}

proptest! {
    /// Of HTML, titles of links and names of code's languages, words do go: their marks are left out here.
    #[test]
    fn no_word_is_lost(pieces in prop::collection::vec(("[a-zA-Z0-9]{1,8}", marks()), 0..40)) {
        let source: String = pieces.iter().map(|(word, mark)| format!("{word}{mark}")).collect();
        let text = text_of(&source);
        let mut rest = text.as_str();
        // The numbers of a list may be a renderer's.
        let has_letter = |word: &&str| word.contains(char::is_alphabetic);
        for word in source.split(|character: char| !character.is_alphanumeric()).filter(has_letter) {
            let found = rest.split_once(word);
            prop_assert!(found.is_some(), "{:?} of {:?} in {:?}", word, source, text);
            rest = found.unwrap().1;
        }
    }

    #[test]
    fn plain_sentences_stay_as_they_are(words in prop::collection::vec("[a-zA-Z0-9äß€]{1,8}[,.!?]?", 1..40)) {
        let text = words.join(" ");
        prop_assert_eq!(text_of(&text), text);
    }

    #[test]
    fn any_text_has_a_text(source in "[\\PC\n]{0,200}") {
        let text = text_of(&source);
        prop_assert_eq!(text.trim().is_empty(), source.trim().is_empty());
    }

    #[test]
    fn any_marks_have_a_text(source in "[-abé1 \n\t*_#>+.:|~=!`<>/\\\\&;\"'\\[\\]()]{0,120}") {
        text_of(&source);
    }

    #[test]
    fn any_tags_have_a_text(tags in prop::collection::vec(prop::sample::select(vec![
        "<div>", "</div>", "<b>", "</b>", "<a href=x>", "</a>", "<li>", "</li>", "<br>", "<!--", "-->", "<script>", "</script>",
        "<pre>", "\n", "\n\n", "- ", "> ", "x", "é", "[", "](y)", "|", "--|--\n", "`", "  ",
    ]), 0..40)) {
        text_of(&tags.concat());
    }
}

//! One mail into text: what a reader of the mail sees first, then the messages attached to it.
//!
//! The library reads whatever it is given; this file refuses what it had to guess at.

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::{ExtractError, html, plain};
use crate::document::{Document, Format};
use crate::limits::{MAIL_NESTING_MAX, MAIL_PARTS_MAX, MAIL_SEARCH_BYTES_MAX};

/// Reads a mail; its title is its subject.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    let parts = count(bytes, b"content-type");
    if parts > MAIL_PARTS_MAX {
        return Err(broken(&format!("it has {parts} parts, more than {MAIL_PARTS_MAX}")));
    }
    if parts.saturating_mul(bytes.len()) > MAIL_SEARCH_BYTES_MAX {
        return Err(broken(&format!(
            "it has {parts} parts, too many for its {} bytes",
            bytes.len()
        )));
    }
    let message = MessageParser::default().parse(bytes);
    let has_headers = |part: &MessagePart<'_>| !part.headers.is_empty();
    let Some(message) = message.filter(|message| message.parts.first().is_some_and(has_headers))
    else {
        return Err(broken("it has no header such as `From: a@example.org`"));
    };
    let mut document = Document::new(Format::Mail);
    describe(&message, &mut document);
    let mut texts = Vec::new();
    body(&message, 0, &mut texts, &mut document)?;
    document.text = texts.join("\n\n");
    Ok(document)
}

/// Takes the headers.
fn describe(message: &Message<'_>, document: &mut Document) {
    document.entitle(message.subject().unwrap_or_default());
    for (key, address) in [("from", message.from()), ("to", message.to()), ("cc", message.cc())] {
        document.describe(key, &address.map(addresses).unwrap_or_default());
    }
    if let Some(date) = message.date().filter(|date| date.is_valid()) {
        document.describe("date", &date.to_rfc3339());
    }
    document.describe("message_id", message.message_id().unwrap_or_default());
    let names = message.attachments().filter_map(|part| part.attachment_name());
    document.describe("attachments", &names.collect::<Vec<_>>().join(", "));
}

fn addresses(address: &Address<'_>) -> String {
    let one = |address: &mail_parser::Addr<'_>| match (address.name(), address.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    };
    address.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Collects the texts of a message and of those attached to it.
fn body(
    message: &Message<'_>,
    depth: usize,
    texts: &mut Vec<String>,
    document: &mut Document,
) -> Result<(), ExtractError> {
    for (at, part) in message.parts.iter().enumerate() {
        check(message, at, part, document)?;
    }
    // of a mail that is cut off the library takes the last part for an attachment
    let cut = message.attachments().filter(|part| part.is_encoding_problem && part.is_text());
    let cut = cut.filter(|part| part.attachment_name().is_none());
    for part in message.text_bodies().chain(cut) {
        let text = match &part.body {
            PartType::Text(text) if is_html(part) => html::text(text),
            PartType::Text(text) => plain::tidy(text),
            PartType::Html(page) => html::text(page),
            PartType::Binary(_)
            | PartType::InlineBinary(_)
            | PartType::Message(_)
            | PartType::Multipart(_) => continue,
        };
        let text = text.trim_matches('\n').replace('\0', "\u{fffd}");
        if !text.is_empty() {
            texts.push(text);
        }
    }
    for part in message.attachments() {
        let PartType::Message(inner) = &part.body else { continue };
        if depth >= MAIL_NESTING_MAX {
            document.note(format!("messages more than {MAIL_NESTING_MAX} deep are left out"));
            continue;
        }
        texts.extend(inner.subject().map(str::to_owned));
        body(inner, depth + 1, texts, document)?;
    }
    Ok(())
}

fn is_html(part: &MessagePart<'_>) -> bool {
    part.content_type()
        .and_then(|kind| kind.subtype())
        .is_some_and(|kind| kind.eq_ignore_ascii_case("html"))
}

/// Refuses a part that could not be read as what it says it is.
fn check(
    message: &Message<'_>,
    at: usize,
    part: &MessagePart<'_>,
    document: &mut Document,
) -> Result<(), ExtractError> {
    let kind = part.content_type();
    let name = kind.map_or_else(
        || "text/plain".to_owned(),
        |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("*")),
    );
    if kind.is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("multipart")) {
        let boundary = kind.and_then(|kind| kind.attribute("boundary"));
        let Some(boundary) = boundary else {
            return Err(broken(&format!("part {at} is {name} without a boundary")));
        };
        if !matches!(part.body, PartType::Multipart(_)) {
            return Err(broken(&format!(
                "part {at} is {name}, but its boundary `{boundary}` never comes"
            )));
        }
        let end = format!("--{boundary}--");
        if at == 0 && count(message.raw_message(), end.to_ascii_lowercase().as_bytes()) == 0 {
            document.note(format!("part {at} is {name} and never ends: the mail may be cut off"));
        }
        return Ok(());
    }
    let is_body = message.text_body.iter().any(|body| usize::try_from(*body) == Ok(at));
    // a part that only never ends has the same mark, but no encoding that it could break
    let coding = part.content_transfer_encoding().unwrap_or_default();
    let is_coded =
        ["base64", "quoted-printable"].iter().any(|name| coding.eq_ignore_ascii_case(name));
    if part.is_encoding_problem && is_coded && (is_body || part.is_text()) {
        return Err(broken(&format!("part {at} ({name}) cannot be decoded as {coding}")));
    }
    let charset = kind.and_then(|kind| kind.attribute("charset")).unwrap_or("utf-8");
    let known = ["utf-8", "utf8", "us-ascii", "ascii"]
        .iter()
        .any(|name| charset.eq_ignore_ascii_case(name));
    if is_body && !known && charset_decoder(charset.as_bytes()).is_none() {
        document.note(format!("part {at} is in the unknown encoding `{charset}`: read as UTF-8"));
    }
    Ok(())
}

fn broken(what: &str) -> ExtractError {
    ExtractError::BrokenMail { what: format!("{what}; export it again") }
}

/// Counts how often some bytes occur, in capital or small letters; `what` is in small letters.
fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| window.eq_ignore_ascii_case(what)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(text: &str) -> Result<Document, ExtractError> {
        read(text.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn a_mail_of_many_parts_gives_its_text_once_and_its_headers() {
        let document = mail(
            "From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\nTo: a@example.org, b@example.org\n\
            Subject: =?iso-8859-1?Q?caf=E9?=\nDate: Fri, 21 Nov 1997 09:55:06 -0600\nMIME-Version: 1.0\n\
            Content-Type: multipart/mixed; boundary=\"b\"\n\n\
            --b\nContent-Type: multipart/alternative; boundary=c\n\n\
            --c\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nTh=E9 is =\nhot.\n\
            --c\nContent-Type: text/html\n\n<p>Th&eacute; is <b>hot</b>.</p>\n--c--\n\
            --b\nContent-Type: application/pdf; name=\"a.pdf\"\nContent-Disposition: attachment; filename=\"a.pdf\"\n\
            Content-Transfer-Encoding: base64\n\nAAAA\n\
            --b\nContent-Type: message/rfc822\n\nFrom: c@example.org\nSubject: Inner\n\nInner text.\n--b--\n",
        )
        .unwrap();
        assert_eq!(document.title.as_deref(), Some("café"));
        assert_eq!(document.text, "Thé is hot.\n\nInner\n\nInner text.");
        assert_eq!(document.metadata["from"], "Zoë <zoe@example.org>");
        assert_eq!(document.metadata["to"], "a@example.org, b@example.org");
        assert_eq!(document.metadata["date"], "1997-11-21T09:55:06-06:00");
        assert_eq!(document.metadata["attachments"], "a.pdf");
        assert!(document.notes.is_empty(), "{:?}", document.notes);
    }

    #[test]
    fn a_mail_of_html_alone_is_read_as_html_and_base64_in_its_encoding() {
        let html = mail(
            "From: a@b.c\nContent-Type: text/html; charset=shift_jis\n\
            Content-Transfer-Encoding: base64\n\nPHA+k/qWezwvcD4=\n",
        )
        .unwrap();
        assert_eq!(html.text, "日本");
    }

    #[test]
    fn a_broken_mail_is_an_error_that_says_what_is_broken() {
        for (text, says) in [
            (
                "Content-Type: multipart/mixed\nFrom: a@b.c\n\n--x\n\ntext\n--x--\n",
                "without a boundary",
            ),
            (
                "Content-Type: multipart/mixed; boundary=q\nFrom: a@b.c\n\n--x\n\ntext\n",
                "`q` never comes",
            ),
            (
                "From: a@b.c\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n\u{1}**??**not base64\n",
                "cannot be decoded",
            ),
            ("\n\n", "no header"),
        ] {
            let error = mail(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_mail_that_is_cut_off_says_so() {
        let document =
            mail("From: a@b.c\nContent-Type: multipart/mixed; boundary=q\n\n--q\n\ntext\n")
                .unwrap();
        assert_eq!(document.text, "text");
        assert!(document.notes.concat().contains("cut off"), "{:?}", document.notes);
    }

    #[test]
    fn messages_in_messages_without_end_do_not_exhaust_the_stack() {
        let mail = "Content-Type: message/rfc822\r\n\r\n".repeat(MAIL_PARTS_MAX);
        drop(read(mail.as_bytes()));
        let mail = "Content-Type: message/rfc822\r\n\r\n".repeat(MAIL_PARTS_MAX + 1);
        assert!(read(mail.as_bytes()).unwrap_err().to_string().contains("1001 parts"));
        let part = "--b\nContent-Type: multipart/mixed; boundary=c\n\n".repeat(MAIL_PARTS_MAX - 1);
        let start = "From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n";
        let mail = format!("{start}{part}{}", "x".repeat(5 * 1024 * 1024));
        assert!(read(mail.as_bytes()).unwrap_err().to_string().contains("too many for its"));
    }
}

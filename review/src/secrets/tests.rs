//! What is a secret, and what only looks like one. Keys are put together here, so that no file holds a whole one.

use super::*;

fn rules(path: &str, text: &str) -> Vec<String> {
    let file = SourceFile::new(path, text.as_bytes());
    assert!(Secrets.accepts(path), "{path}");
    Secrets.review(&file).findings.into_iter().map(|finding| finding.rule).collect()
}

const RANDOM: &str = "q8Zr2LxTn5Vw0KbYd7HcM3sQe9Rf6JgUa1Pi4WoB";

#[test]
fn known_formats_are_found() {
    let keys = [
        ("secrets.aws", format!("AKIA{}", "Q8ZR2LXTN5VW7KBY")),
        ("secrets.github", format!("ghp_{}", &RANDOM[..36])),
        ("secrets.slack", format!("xoxb-{}", "281763920183-2918273645-q8Zr2LxTn5Vw")),
        ("secrets.stripe", format!("sk_live_{}", &RANDOM[..24])),
        ("secrets.google", format!("AIza{}", &RANDOM[..35])),
        ("secrets.npm", format!("npm_{}", &RANDOM[..36])),
        ("secrets.openai", format!("sk-{}T3BlbkFJ{}", &RANDOM[..20], &RANDOM[20..])),
        ("secrets.anthropic", format!("sk-ant-api03-{RANDOM}{RANDOM}")),
    ];
    for (rule, key) in keys {
        assert_eq!(rules("src/a.py", &format!("key = '{key}'\n")), [rule], "{key}");
        assert_eq!(
            rules("src/a.py", &format!("key = '{key}MORE{RANDOM}{RANDOM}{RANDOM}{RANDOM}'\n"))
                .len(),
            0
        );
    }
}

#[test]
fn a_finding_never_shows_the_secret() {
    let key = format!("ghp_{}", &RANDOM[..36]);
    let text = format!(
        "a = '{key}'\npassword = '{}'\nhttps://me:{}@db.acme.com/\n",
        &RANDOM[..20],
        &RANDOM[..12]
    );
    let file = SourceFile::new("src/a.py", text.as_bytes());
    let review = Secrets.review(&file);
    assert_eq!(review.findings.len(), 3);
    let shown = serde_json::to_string(&review).unwrap();
    assert!(!shown.contains(&RANDOM[..8]), "{shown}");
}

#[test]
fn a_private_key_needs_its_body() {
    let body = format!("{RANDOM}{}", "MIIEpAIBAAKCAQEAx7");
    let marker = "-----BEGIN RSA PRIVATE KEY-----";
    assert_eq!(rules("deploy/key.pem", &format!("{marker}\n{body}\n")), ["secrets.private_key"]);
    assert_eq!(
        rules("src/a.js", &format!("k = \"{marker}\\n{body}\\n\"")),
        ["secrets.private_key"]
    );
    assert_eq!(rules("docs/keys.md", &format!("A key starts with `{marker}`.\n")).len(), 0);
    assert_eq!(rules("cert.pem", &format!("-----BEGIN CERTIFICATE-----\n{body}\n")).len(), 0);
}

#[test]
fn random_values_behind_secret_names_are_found() {
    let value = &RANDOM[..24];
    for line in [
        format!("password = \"{value}\""),
        format!("  \"clientSecret\": \"{value}\","),
        format!("const API_KEY: &str = \"{value}\";"),
        format!("let authToken = '{value}';"),
        format!("headers['api-key'] = '{value}'"),
        format!("\"db_password\" => '{value}'"),
    ] {
        assert_eq!(rules("src/a.rb", &line), ["secrets.assignment"], "{line}");
    }
    assert_eq!(rules(".env", &format!("DB_PASSWORD={value}\n")), ["secrets.assignment"]);
    assert_eq!(rules("a.yaml", &format!("  api_key: {value}\n")), ["secrets.assignment"]);
}

#[test]
fn what_only_looks_like_a_secret_is_not_found() {
    let value = &RANDOM[..24];
    for line in [
        format!("commit = \"{value}\""),
        format!("let token_url = \"{value}\";"),
        format!("public_key = \"{value}\""),
        "password = \"${DB_PASSWORD_2024_PROD}\"".to_owned(),
        "password = os.environ['A1B2C3D4E5F6G7H8']".to_owned(),
        "api_key = \"your-api-key-here-12345\"".to_owned(),
        "token = \"0193a7c1-7e5f-7b3a-9c1d-2f4e6a8b0c1d\"".to_owned(),
        "secret = \"xxxxxxxxxxxxxxxx1234\"".to_owned(),
        "next_token = \"continuation-token-name-1\"".to_owned(),
        "img = \"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4\"".to_owned(),
        format!("AKIA{}", "IOSFODNN7EXAMPLE"),
        format!("sha256 = \"{}\"", "9f8e2b71c04d6a35e8f19f8e2b71c04d6a35e8f19f8e2b71c04d6a35e8f1abcd"),
        "postgres://user:password123@localhost/db".to_owned(),
        "https://user:${PASSWORD}@db.acme.com/".to_owned(),
        "passwordField = document.getElementById(\"input1Password2Field3\")".to_owned(),
    ] {
        assert_eq!(rules("src/a.py", &line), [] as [&str; 0], "{line}");
    }
    let unquoted = format!("let password = {value};");
    assert_eq!(rules("src/a.rs", &unquoted).len(), 0);
}

#[test]
fn tests_and_lock_files_are_not_searched() {
    for path in
        ["tests/a.py", "src/__tests__/a.js", "Cargo.lock", "package-lock.json", "vendor/a.go"]
    {
        assert!(!Secrets.accepts(path), "{path}");
    }
    let text = format!(
        "fn a() {{}}\n#[cfg(test)]\nmod tests {{\n    const PASSWORD: &str = \"{}\";\n}}\n",
        &RANDOM[..24]
    );
    assert_eq!(rules("src/a.rs", &text).len(), 0);
    let file = SourceFile { test: true, ..SourceFile::new("src/a.rs", b"") };
    let key = format!("const A: &str = \"ghp_{}\";", &RANDOM[..36]);
    assert_eq!(Secrets.review(&SourceFile { bytes: key.as_bytes(), ..file }).findings.len(), 0);
    assert_eq!(rules("src/a.rs", &key).len(), 1);
}

#[test]
fn any_bytes_are_reviewed() {
    let file =
        SourceFile::new("a.py", b"\xff\xfe password = \"\xc3\x28\" :// @ : \xc3\xa9='\xc3\xa9'");
    assert_eq!(Secrets.review(&file).findings.len(), 0);
}

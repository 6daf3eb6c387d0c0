"""Code in colours, text in safety."""

from __future__ import annotations

from meshdojo.web.markup import highlight, inline, safe


def test_an_unknown_language_is_shown_plain() -> None:
    assert highlight("a < b", "klingon") == "a &lt; b"


def test_yaml_has_its_keys_marked() -> None:
    assert highlight("kind: Pod # why", "yaml") == (
        '<span class="t-key">kind</span>: Pod <span class="t-remark"># why</span>'
    )


def test_yaml_in_a_heredoc_is_yaml_and_the_shell_around_it_shell() -> None:
    html = highlight("kubectl apply -f - <<'YAML'\nkind: Pod\nYAML\necho $X", "bash")
    assert '<span class="t-key">kind</span>' in html
    assert '<span class="t-number">$X</span>' in html


def test_code_never_becomes_html() -> None:
    for language in ("bash", "yaml", "json", "text"):
        assert "<script" not in highlight('"<script>alert(1)</script>" <<EOF\n<script>\nEOF\n', language)


def test_one_line_of_markdown() -> None:
    assert inline("a *b* `c` <i>d</i>") == "a <em>b</em> <code>c</code> &lt;i&gt;d&lt;/i&gt;"


def test_the_sanitiser_takes_out_what_runs() -> None:
    html = (
        '<p class="x" style="color:red" onclick="x()">a<iframe></iframe><style>b</style><a href="vbscript:x">c</a></p>'
    )
    assert safe(html) == '<p>a<a rel="noopener noreferrer">c</a></p>'

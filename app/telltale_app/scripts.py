"""The scripts that pages carry, whose text the policy of the security headers allows by hash.

Whatever differs from page to page stands in marks beside a script, never in its text.
"""

from __future__ import annotations

from html import escape

import streamlit as st

SCROLL_UP = "if (!location.hash) document.querySelector('[data-testid=stMain]').scrollTop = 0;"
"""Opens a page at its top."""

BRING_IN_SIGHT = """{
  const mark = () => document.querySelector('[data-lesson-move]')?.dataset ?? {};
  const main = document.querySelector('[data-testid=stMain]');
  const bar = () => document.querySelector('[data-testid=stLayoutWrapper]:has(> .st-key-lesson-bar)');
  const covered = () => bar() ? bar().offsetHeight + parseFloat(getComputedStyle(bar()).top) : 0;
  const {lessonMove: move, lessonAnchor: anchor} = mark();
  const started = Date.now();
  let settled = 0, held = false;
  const hold = () => { held = true; };
  window.telltaleStep?.abort();
  const {signal} = window.telltaleStep = new AbortController();
  ['wheel', 'touchmove', 'keydown', 'pointerdown'].forEach(
    kind => addEventListener(kind, hold, {once: true, passive: true, signal}));
  const drawn = () => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSkeleton]');
  const look = () => {
    if (held || mark().lessonMove !== move || Date.now() - started > 60000) return;
    const target = anchor && document.getElementById(anchor);
    if (drawn() && (target || !anchor)) {
      settled ||= Date.now();
      const away = target ? target.getBoundingClientRect().top - covered() - 8 : -main.scrollTop;
      if (Math.abs(away) > 2) main.scrollBy(0, away);
      if (Date.now() - settled > 2000) return;
    }
    setTimeout(look, 150);
  };
  look();
  const measure = () => main.style.setProperty('--lesson-bar', `${covered() + 8}px`);
  const observer = new ResizeObserver(measure);
  observer.observe(bar() ?? main);
  signal.addEventListener('abort', () => observer.disconnect());
}"""
"""After a step of a lesson: what is to be looked at stands right below the bar once the page is drawn, charts included,
unless the person has taken over. What a link or the focus leads to is never below the bar. Each step ends what the step
before listens to and observes."""

COPY = """window.telltaleCopies ??= (() => {
  const said = document.createElement('div');
  said.setAttribute('role', 'status');
  said.className = 'telltale-said';
  said.style.cssText = 'position: fixed; inset: auto 0 1.5rem; margin: auto; width: fit-content; z-index: 1000000;'
    + 'padding: 0.5rem 1rem; border-radius: 0.4rem; background: #0c1519; color: #fff; border: 1px solid #7fd0dc;';
  said.hidden = true;
  document.body.append(said);
  let fading;
  const say = words => {
    said.hidden = false;
    said.textContent = words;
    clearTimeout(fading);
    fading = setTimeout(() => { said.hidden = true; }, 3000);
  };
  const byHand = text => {
    const field = document.createElement('textarea');
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    if (!done) throw new Error('refused');
  };
  document.addEventListener('click', async event => {
    const place = event.target.closest?.('button')?.closest('[class*="st-key-copies-"]');
    const text = place?.querySelector('[data-copy]')?.dataset.copy;
    if (!text) return;
    try {
      if (navigator.clipboard) await navigator.clipboard.writeText(text); else byHand(text);
      say('Link copied');
    } catch {
      say('The browser did not copy it: copy the link shown there');
    }
  });
  return true;
})();"""
"""A button in a container whose key begins with "copies-" copies the text marked beside it, and a note says so."""

PASTE = """window.telltalePastes ??= (() => {
  const field = () => document.querySelector('.st-key-upload input[type=file]');
  document.addEventListener('paste', async event => {
    const file = [...(event.clipboardData?.files ?? [])].find(each => each.type.startsWith('image/'));
    const picker = document.querySelector('[class*="st-key-image-source-"]');
    if (!file || !picker || event.target.closest?.('input:not([type=file]), textarea, [contenteditable=true]')) return;
    event.preventDefault();
    if (!field()) [...picker.querySelectorAll('button')].find(each => each.textContent.includes('Upload'))?.click();
    for (let tries = 0; !field() && tries < 200; tries++) await new Promise(done => setTimeout(done, 100));
    if (!field()) return;
    const given = new DataTransfer();
    given.items.add(file);
    field().files = given.files;
    field().dispatchEvent(new Event('change', {bubbles: true}));
  });
  return true;
})();"""
"""An image pasted on the workbench becomes its upload, as if chosen there; Streamlit's own takes none by itself."""

KEYS = """window.telltaleKeys ??= (() => {
  const written = 'input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select,'
    + '[contenteditable=true], [role=dialog]';
  document.addEventListener('keydown', event => {
    if (event.key !== '?' || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (!event.target.closest?.(written)) document.querySelector('.st-key-keys button')?.click();
  });
  return true;
})();"""
"""A question mark opens the sheet of keys; Streamlit's own shortcuts, which do the rest, know no punctuation."""

SAVE_CHART = """window.telltaleSaves ??= (() => {
  document.addEventListener('click', event => {
    const {saveAs: format, saveOf: key} = event.target.closest?.('[data-save-as]')?.dataset ?? {};
    const chart = format && document.querySelector(`.st-key-${CSS.escape(key)} .js-plotly-plot`);
    const button = chart?.querySelector('.modebar-btn[data-title^="Download plot"]');
    if (!button) return;
    chart._context.toImageButtonOptions = {format, filename: `telltale-${key}`, scale: format === 'png' ? 2 : 1};
    button.click();
  });
  return true;
})();"""
"""Saves the chart that a button names, by what Plotly's own button of the chart does."""

ALL = (SCROLL_UP, BRING_IN_SIGHT, COPY, PASTE, KEYS, SAVE_CHART)


def install() -> None:
    """Let the browser listen, once for as long as the page is open, to what people copy, paste and press."""
    for script in (COPY, PASTE, KEYS, SAVE_CHART):
        run(script)


def run(script: str, **marks: object) -> None:
    """Let the browser run one of these scripts, and again whenever a mark changes.

    Parameters
    ----------
    script : str
        One of `ALL`.
    **marks : object
        What the script reads, as attributes ``data-NAME`` of a hidden element.

    Raises
    ------
    ValueError
        If it is another script, which the browser would refuse.
    """
    if script not in ALL:
        raise ValueError("This is not one of the scripts that the policy of the security headers allows.")
    said = " ".join(f'data-{name.replace("_", "-")}="{escape(str(value))}"' for name, value in marks.items())
    st.html(f"<span hidden {said} data-script></span><script>{script}</script>", unsafe_allow_javascript=True)

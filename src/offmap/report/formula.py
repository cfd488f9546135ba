"""Formulas of docstrings as characters: pages need no script to show them."""

import re
from collections.abc import Callable, Mapping

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_]|\s+|.")
RAISED = dict(zip("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", strict=True))
SYMBOLS = {
    "lfloor": "⌊", "perp": "⊥", "rfloor": "⌋", "nabla": "∇", "Vert": "‖",
    "sum": "∑", "prod": "∏", "partial": "∂", "lVert": "‖", "rVert": "‖", "lvert": "|",
    "rvert": "|", "in": " ∈ ", "le": " ≤ ", "ge": " ≥ ", "ne": " ≠ ", "cdot": " · ",
    "times": " × ", "to": " → ", "mid": " | ", "infty": "∞", "top": "ᵀ", "approx": " ≈ ",
    "pm": " ± ", "sim": " ~ ", "dots": "…", "ldots": "…", "langle": "⟨", "rangle": "⟩", "ell": "ℓ",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε",
    "eta": "η", "theta": "θ", "lambda": "λ", "mu": "μ", "rho": "ρ", "sigma": "σ", "tau": "τ",
    "int": "∫", "pi": "π", "kappa": "κ", "nu": "ν", "xi": "ξ", "psi": "ψ", "zeta": "ζ",
    "Theta": "Θ", "Lambda": "Λ", "Omega": "Ω", "Gamma": "Γ", "Psi": "Ψ", "propto": " ∝ ",
    "ll": " ≪ ", "gg": " ≫ ", "leq": " ≤ ", "geq": " ≥ ", "neq": " ≠ ", "equiv": " ≡ ",
    "iff": " ⇔ ", "implies": " ⇒ ", "Rightarrow": " ⇒ ", "circ": " ∘ ", "odot": " ⊙ ",
    "cup": " ∪ ", "cap": " ∩ ", "subset": " ⊂ ", "notin": " ∉ ", "star": "*", "lceil": "⌈",
    "rceil": "⌉", "prime": "′", "dagger": "⁺", "cdots": "⋯", "mapsto": " ↦ ", "wedge": " ∧ ",
    "phi": "φ", "chi": "χ", "omega": "ω", "Sigma": "Σ", "Delta": "Δ", "Phi": "Φ",
    "qquad": "    ", "quad": "  ", ",": " ", ";": " ", ":": " ", "!": "", " ": " ",
    "{": "{", "}": "}", "|": "‖", "%": "%", "_": "_",
    "left": "", "right": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "", "big": "", "Big": "",
}  # fmt: skip
NAMES = {
    "log", "exp", "max", "min", "arg", "sup", "inf", "det", "Pr", "dim", "ln", "cos", "sin", "tan",
    "tanh", "sinh", "cosh", "arccos", "sgn", "deg", "lim", "tr",
}  # fmt: skip
FONTS = {"operatorname", "text", "mathrm", "mathbb", "mathbf", "mathcal"}
ACCENTS = {
    "bar": "\u0304", "hat": "\u0302", "tilde": "\u0303", "overline": "\u0304",
    "widehat": "\u0302", "widetilde": "\u0303", "dot": "\u0307", "vec": "\u20d7",
}  # fmt: skip


def plain(latex: str) -> str:
    r"""A formula as characters: `\frac{a}{b_i}` as `a / b_i`.

    Raises:
        ValueError: If a command is unknown: give it a character in SYMBOLS.
    """
    tokens = TOKEN.findall(latex)
    tokens.reverse()
    text = re.sub(r"(?<=\S) {2}(?=\S)", " ", _until(tokens, "")).strip()
    alone = re.fullmatch(r"\((?:[^()]|\([^()]*\))*\)", text)  # a fraction and nothing else
    return text[1:-1] if alone else text


def _until(tokens: list[str], end: str) -> str:
    parts = []
    while tokens and tokens[-1] != end:
        parts.append(_next(tokens))
    if end:
        tokens.pop()
    return "".join(parts)


def _next(tokens: list[str]) -> str:
    """The next token with whatever belongs to it, as characters."""
    token = tokens.pop()
    if token == "{":
        return _until(tokens, "}")
    if token in "^_":
        return _script(token, _argument(tokens))
    if token.isspace():
        return " "
    return _command(token[1:], tokens) if token.startswith("\\") else token


def _command(name: str, tokens: list[str]) -> str:
    commands: Mapping[str, Callable[[], str]] = {
        **dict.fromkeys(FONTS, lambda: _argument(tokens)),
        **dict.fromkeys(("frac", "tfrac", "dfrac"), lambda: _ratio(tokens)),
        "sqrt": lambda: f"√({_argument(tokens)})",
    }
    if name in ACCENTS:
        return _argument(tokens) + ACCENTS[name]
    if name in commands:
        return commands[name]()
    if name in NAMES:
        return name
    if name not in SYMBOLS:
        raise ValueError(f"expected a known command of LaTeX, got \\{name}: add it to SYMBOLS")
    return SYMBOLS[name]


def _argument(tokens: list[str]) -> str:
    while tokens and tokens[-1].isspace():
        tokens.pop()
    return _next(tokens).strip()


def _ratio(tokens: list[str]) -> str:
    above, below = (_grouped(_argument(tokens)) for _ in range(2))
    return f"({above} / {below}) "


INLINE = re.compile(r":math:`([^`]+)`")
WHOLE = re.compile(r"[\w\u0300-\u036f⁰-ⁿ²³¹]+|\([^()]*\)[²³]?|‖[^‖]*‖[_\w²]*")


def _grouped(text: str) -> str:
    """In parentheses, unless it holds together without them."""
    return text if WHOLE.fullmatch(text) else f"({text})"


def _script(kind: str, text: str) -> str:
    if kind == "^" and all(character in RAISED for character in text):
        return "".join(RAISED[character] for character in text)
    if kind == "^" and text == "ᵀ":
        return text
    return f"{kind}{text}" if re.fullmatch(r"\w+|[+*-]", text) else f"{kind}({text})"


def paragraphs(doc: str) -> list[tuple[str, bool]]:
    """The paragraphs of a docstring, each in one line, and whether it is a formula."""
    found = []
    for block in re.split(r"\n\s*\n", doc.strip()):
        text = " ".join(block.split())
        formula = text.startswith(".. math::")
        text = text.removeprefix(".. math::").strip()
        said = plain(text) if formula else INLINE.sub(lambda m: plain(m[1]), text)
        found.append((said, formula))
    return found

/** Control, format (bidi, zero width, tags), line separator and lone surrogate characters: what changes how a terminal shows the rest. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** `text` with every unsafe character, line breaks included, replaced by a visible escape: `\x1b`, `\u{202e}`. */
export function sanitise(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** The same for a line of JSON, where the escapes are JSON's own: a reader gets the original text back. */
export function sanitiseJson(line: string): string {
  return line.replace(UNSAFE, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

/** A value as a command prints it with `--json`: its line breaks are the layout's own, everything unsafe is escaped. */
export const jsonText = (value: unknown): string =>
  `${JSON.stringify(value, undefined, 2).split('\n').map(sanitiseJson).join('\n')}\n`

/**
 * A stranger's text with what would hide, reorder or break up other text made visible: controls, what Unicode draws as nothing
 * (`Default_Ignorable_Code_Point` has fillers and joiners that count as letters or marks), and the blank of Braille.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return `\\u{${point.toString(16)}}`;
  });
}

import { expect } from 'chai'
import { rejectRequestSchema } from './ops/views.ts'
import { oneLine, printable } from './text.ts'

describe('text that people type', () => {
  const fits = ([pattern]: readonly [RegExp, string], text: string) => pattern.test(text)

  it('may be in any language, with accents and emoji', () => {
    for (const text of ['', 'José O’Neil-Łuczak', '李雷', 'नमस्ते', '👩‍✈️ window seat'])
      expect(fits(oneLine, text), text).to.equal(true)
  })

  it('holds no control character and no half of a surrogate pair', () => {
    for (const text of ['a\0b', 'a\u001bb', 'a\u0085b', '\ud83d', 'a\ude00'])
      for (const schema of [oneLine, printable]) expect(fits(schema, text), JSON.stringify(text)).to.equal(false)
  })

  it('breaks lines only where it may', () => {
    expect(fits(printable, 'one\r\n\ttwo')).to.equal(true)
    expect(fits(oneLine, 'one\ntwo')).to.equal(false)
  })

  it("is what an operator's reason consists of", () => {
    expect(rejectRequestSchema.safeParse({ reason: 'fare rose\nby 40 %' }).success).to.equal(true)
    for (const reason of ['a\0b', 'a\ud83d', ' ', 'x'.repeat(501)])
      expect(rejectRequestSchema.safeParse({ reason }).success).to.equal(false)
  })
})

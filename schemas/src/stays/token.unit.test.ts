import { expect } from 'chai'
import { readAccessToken, type TokenPlaces } from './token.ts'

const token = '0189d6a0-1b2c-7d3e-8f40-5a6b7c8d9e0f'
const other = '11111111-2222-3333-4444-555555555555'

describe('the token of a guest', () => {
  const accepted: Record<string, TokenPlaces> = {
    'as Bearer': { authorization: [`Bearer ${token}`] },
    'in either case': { authorization: [`bearer ${token.toUpperCase()}`] },
    'in its own header': { accessTokenHeader: [token] },
    'as a parameter': { query: { access_token: token } },
    'as a parameter of its short name': { query: { token } },
    'in the body': { body: { property_id: 'x', access_token: token } },
    'in several places that agree': {
      authorization: [`Bearer ${token}`],
      query: { token: token.toUpperCase() },
      body: { token },
    },
    'in a header that is sent twice': { authorization: [`Bearer ${token}`, `bearer ${token}`] },
    'in its own header, sent twice': { accessTokenHeader: [token, token] },
    'said twice': { query: { token: [token, token] } },
    'beside a body that is no object': { accessTokenHeader: [token], body: 'text' },
  }
  for (const [name, places] of Object.entries(accepted))
    it(`is taken ${name}`, () => expect(readAccessToken(places)).to.equal(token))

  const refused: Record<string, TokenPlaces> = {
    'none is sent': {},
    'the scheme is another': { authorization: [`Basic ${token}`] },
    'it stands without a scheme': { authorization: [token] },
    'it stands behind two spaces': { authorization: [`Bearer  ${token}`] },
    'it stands in braces': { accessTokenHeader: [`{${token}}`] },
    'it ends in a space': { query: { token: `${token} ` } },
    'a digit is missing': { query: { token: token.slice(1) } },
    'hyphens are missing': { query: { token: token.replaceAll('-', '') } },
    'it is a number': { body: { token: 7 } },
    'two headers disagree': { authorization: [`Bearer ${token}`, `Bearer ${other}`] },
    'the second header has another scheme': { authorization: [`Bearer ${token}`, `Basic ${token}`] },
    'its own header disagrees with itself': { accessTokenHeader: [token, other] },
    'two disagree': { authorization: [`Bearer ${token}`], query: { token: other } },
    'one of two is malformed': { authorization: [`Bearer ${token}`], body: { token: '' } },
    'it is said twice, differently': { query: { token: [token, other] } },
    'it belongs to every object': { body: Object.create({ token }) },
  }
  for (const [name, places] of Object.entries(refused))
    it(`is refused when ${name}`, () => expect(readAccessToken(places)).to.equal(null))
})

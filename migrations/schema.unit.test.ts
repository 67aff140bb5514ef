import { readFileSync } from 'node:fs'
import { expect } from 'chai'

const definer = /^CREATE FUNCTION (\S+?)\([\s\S]*?^\s+AS /gm

describe('the databases’ functions', () => {
  // Seen failing: with a path of public alone, where a caller's temporary table is found before ours.
  for (const folder of ['read', 'write'])
    it(`of ${folder} that run as their owner look for temporary tables last`, () => {
      const schema = readFileSync(new URL(`${folder}/schema.sql`, import.meta.url), 'utf8')
      const heads = [...schema.matchAll(definer)].filter(([head]) => head.includes('SECURITY DEFINER'))
      expect(heads).to.not.deep.equal([])
      const careless = heads.filter(([head]) => !head.includes("SET search_path TO 'public', 'pg_temp'"))
      expect(careless.map(([, name]) => name)).to.deep.equal([])
    })
})

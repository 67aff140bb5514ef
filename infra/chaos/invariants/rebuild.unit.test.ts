// Sabotage: judge by the first attempt.
import { expect } from 'chai'
import { type Ops, rebuildOne } from './rebuild.ts'

/** The first `stuck` builds do not move; the next one is equal. */
function operator(stuck: number) {
  const commands: string[] = []
  let builds = 0
  const run: Ops = async (...args) => {
    commands.push(args.filter((arg) => arg !== '--json').join(' '))
    if (args[0] === 'retire') return { code: 0, out: '', said: '' }
    builds += 1
    const said = `· building ledger.v${builds + 1} from the beginning of the log …`
    return builds > stuck
      ? { code: 0, out: '[]', said }
      : {
          code: 1,
          out: '',
          said: `${said}\n✗ ledger.v${builds + 1} does not move: is the projections process running?`,
        }
  }
  return { commands, run }
}

describe('a rebuild by the judge', () => {
  it('is begun once more when it does not move, and gives every version up', async () => {
    const { commands, run } = operator(1)
    expect(await rebuildOne(run, 'ledger')).to.deep.include({ isEqual: true, tables: [] })
    expect(commands).to.deep.equal(['rebuild ledger', 'retire ledger 2', 'rebuild ledger', 'retire ledger 3'])
  })

  it('is not equal when it does not move twice', async () => {
    const { commands, run } = operator(9)
    expect(await rebuildOne(run, 'ledger')).to.deep.include({ isEqual: false })
    expect(commands.filter((command) => command === 'rebuild ledger')).to.have.length(2)
  })
})

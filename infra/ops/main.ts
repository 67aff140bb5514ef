/** Entry of `npm run ops`; the commands are in ops.ts. */
import { runEntry } from '../launch/say.ts'
import { loadSettings } from '../launch/settings.ts'
import { ops } from './ops.ts'

await runEntry(async () => {
  loadSettings()
  return ops(process.argv.slice(2), process.env)
})

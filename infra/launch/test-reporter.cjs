/**
 * Mocha's ordinary output, and besides, each result as it comes, as a line of JSON in the file that
 * PORTOLAN_TEST_REPORT names: what was seen counts even when the process does not live to its end. CommonJS, because
 * mocha wants a reporter to be the module itself.
 */
const { appendFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } = Runner.constants

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const path = process.env.PORTOLAN_TEST_REPORT
    const write = (entry) => path && appendFileSync(path, `${JSON.stringify(entry)}\n`)
    const note = (outcome) => (test, error) =>
      write({
        outcome,
        title: test.fullTitle(),
        file: test.file,
        durationMs: test.duration ?? 0,
        reason: error && String(error.stack ?? error.message ?? error),
      })
    runner.on(EVENT_TEST_PASS, note('passed'))
    runner.on(EVENT_TEST_FAIL, note('failed')) // also for a hook that fails
    runner.on(EVENT_TEST_PENDING, note('skipped'))
    runner.once(EVENT_RUN_END, () => write({ end: true }))
  }
}

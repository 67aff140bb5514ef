/**
 * Mocha's ordinary output, and the results as JSON in the file that PORTOLAN_TEST_RESULTS names. CommonJS, because
 * mocha wants a reporter to be the module itself.
 */
const { writeFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } = Runner.constants

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const results = []
    const note = (outcome) => (test, error) =>
      results.push({
        outcome,
        title: test.fullTitle(),
        file: test.file,
        durationMs: test.duration ?? 0,
        reason: error && String(error.stack ?? error.message ?? error),
      })
    runner.on(EVENT_TEST_PASS, note('passed'))
    runner.on(EVENT_TEST_FAIL, note('failed')) // also for a hook that fails
    runner.on(EVENT_TEST_PENDING, note('skipped'))
    runner.once(EVENT_RUN_END, () => {
      if (process.env.PORTOLAN_TEST_RESULTS) writeFileSync(process.env.PORTOLAN_TEST_RESULTS, JSON.stringify(results))
    })
  }
}

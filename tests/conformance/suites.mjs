// The suite's tests, as its own client puts them together, and what their results mean.
import { determineTestResult } from 'http-cache-tests/lib/display.mjs'
import suites from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'

suites.push(surrogate)

export { suites }

/** The tests for a proxy, sorted by id: { id, kind }, kind being required, optimal or check. */
export const tests = suites
  .flatMap(suite => suite.tests)
  .filter(test => !test.browser_only)
  .map(({ id, kind = 'required' }) => ({ id, kind }))
  .sort((a, b) => (a.id < b.id ? -1 : 1))

const WORDS = {
  '✅': 'pass',
  '⛔️': 'fail',
  '⚠️': 'fail',
  Y: 'yes',
  N: 'no',
  '🔹': 'setup', // the test never came to its point
  '⚪️': 'dependency', // a test it depends on does not pass
  '↻': 'retry', // the origin saw a request twice
  '⁉️': 'harness',
  '-': 'untested'
}

/** The grade of a test in a word; a pass counts only if the tests it depends on pass as well. */
export function grade (id, results) {
  const symbol = determineTestResult(suites, id, results)[2]
  return WORDS[symbol] ?? `unknown: ${symbol}`
}

export const passes = grade => grade === 'pass' || grade === 'yes'

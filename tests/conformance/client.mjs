// Runs the suite's client in a thread of its own, since it keeps what it found in module variables. Handed the base URL
// and, for some of the tests, their ids; hands back { id: true | [kind of error, message] }.
import { parentPort, workerData } from 'node:worker_threads'

import { getResults, runTests } from 'http-cache-tests/client/runner.mjs'
import fetch from 'node-fetch'

import { suites } from './suites.mjs'

const { base, ids } = workerData
const wanted = suites.map(suite => ({ ...suite, tests: suite.tests.filter(test => !ids || ids.includes(test.id)) }))
await runTests(wanted, fetch, false, base)
parentPort.postMessage(getResults())

import * as loki from './winston-loki.mjs'

export const open = (settings) => loki.open(settings, true)

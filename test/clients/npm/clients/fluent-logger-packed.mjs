import * as fluent from './fluent-logger.mjs'

export const open = (settings) => fluent.open(settings, 'CompressedPackedForward')

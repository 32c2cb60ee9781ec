import * as gelf from './gelf-udp.mjs'

export const open = (settings) => gelf.open(settings, 'tcp')

// The package's default export, which bundlers do not find in modules that are not ES modules.
export { Scrollbars as default } from './node_modules/react-custom-scrollbars-2/lib/index.js';

import {h, render, Component} from './vendor/preact.js';
import htm from './vendor/htm.js';

export {render, Component};
export const html = htm.bind(h);

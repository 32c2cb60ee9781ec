// Queries Prometheus for a panel, and applies its field configuration.
import {
  applyFieldOverrides, createDataFrame, FieldType, identityOverrideProcessor, Registry,
} from '@grafana/data';

const step = 1, rateInterval = '10s'; // s; scrapes are 1 s apart

const standard = ['unit', 'min', 'max', 'decimals', 'color', 'thresholds', 'mappings', 'noValue', 'displayName'];
const custom = [
  'drawStyle', 'lineInterpolation', 'lineWidth', 'lineStyle', 'fillOpacity', 'gradientMode', 'showPoints', 'pointSize', 'spanNulls',
  'stacking', 'thresholdsStyle', 'axisPlacement', 'axisLabel', 'axisSoftMax', 'scaleDistribution', 'hideFrom', 'transform',
];
const option = (id, path, isCustom) => ({ id, path, name: id, isCustom, process: identityOverrideProcessor, shouldApply: () => true });
const fieldConfigRegistry = new Registry(() => [
  ...standard.map(id => option(id, id, false)),
  ...custom.map(path => option('custom.' + path, path, true)),
]);

// interpolate replaces the dashboard's variables by their values, and the choice "All" by what it stands for.
function interpolate(text, dashboard, seconds) {
  const values = { __rate_interval: rateInterval, __interval: step + 's', __range: seconds + 's' };
  for (const { name, current, allValue } of dashboard.templating.list) {
    const value = [current?.value].flat();
    values[name] = value[0] === '$__all' ? allValue : value.join('|');
  }
  return text.replace(/\$(\w+)|\$\{(\w+)\}/g, (all, plain, braced) => values[plain ?? braced] ?? all);
}

const legend = (format, labels) => format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');

export async function query(path, parameters) {
  const answer = await (await fetch('api/v1/' + path + '?' + new URLSearchParams(parameters))).json();
  if (answer.status !== 'success') {
    throw new Error(`${path} ${JSON.stringify(parameters)}: ${answer.error}`);
  }
  return answer.data;
}

// rangeFrames returns a frame for each series, with null where it has no sample. Its field has the name
// of the legend, since graphs colour lines by the one and legends by the other.
async function rangeFrames(target, expression, start, end) {
  const { result } = await query('query_range', { query: expression, start, end, step });
  return result.map(({ metric, values }) => {
    const at = new Map(values.map(([time, value]) => [time, Number(value)]));
    const times = [], numbers = [];
    for (let time = start; time <= end; time += step) {
      times.push(time * 1000);
      numbers.push(at.get(time) ?? null);
    }
    return createDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: times, config: {} },
        { name: legend(target.legendFormat, metric), type: FieldType.number, values: numbers, labels: metric, config: { displayNameFromDS: legend(target.legendFormat, metric) } },
      ],
    });
  });
}

async function tableFrame(target, expression, time) {
  const { result } = await query('query', { query: expression, time });
  const labels = Object.keys(result[0]?.metric ?? {});
  return [createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000), config: {} },
      ...labels.map(name => ({ name, type: FieldType.string, values: result.map(({ metric }) => metric[name]), config: {} })),
      { name: 'Value', type: FieldType.number, values: result.map(({ value }) => Number(value[1])), config: {} },
    ],
  })];
}

// organize applies the transformation of that name, the only one in use.
function organize(frames, transformations = []) {
  for (const { id, options } of transformations) {
    if (id !== 'organize') {
      throw new Error(`the transformation ${id} is not known here`);
    }
    const { excludeByName = {}, renameByName = {} } = options;
    frames = frames.map(frame => ({
      ...frame,
      fields: frame.fields.filter(field => !excludeByName[field.name]).map(field => ({ ...field, name: renameByName[field.name] ?? field.name })),
    }));
  }
  return frames;
}

export async function fetchPanel(panel, dashboard, timeRange, theme) {
  const end = Math.floor(timeRange.to.unix()), start = Math.floor(timeRange.from.unix());
  const replaceVariables = text => interpolate(text, dashboard, end - start);
  const frames = await Promise.all((panel.targets ?? []).map(target => {
    const expression = replaceVariables(target.expr);
    return target.format === 'table' ? tableFrame(target, expression, end) : rangeFrames(target, expression, start, end);
  }));
  if (panel.type === 'alertlist') {
    return (await query('alerts', {})).alerts;
  }
  return applyFieldOverrides({
    data: organize(frames.flat(), panel.transformations),
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry,
    replaceVariables,
    theme,
    timeZone: 'utc',
  });
}

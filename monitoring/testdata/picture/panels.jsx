// Draws one panel of each type that the dashboard has.
import { getDisplayValueAlignmentFactors, getFieldDisplayName, getFieldDisplayValues } from '@grafana/data';
import { Badge, BigValue, Table, TimeSeries, VizLegend, VizRepeater, VizLayout, useTheme2 } from '@grafana/ui';

function NoData({ text = 'No data' }) {
  const theme = useTheme2();
  return <div style={{ display: 'grid', placeItems: 'center', height: '100%', color: theme.colors.text.secondary }}>{text}</div>;
}

function Stat({ panel, frames, width, height }) {
  const theme = useTheme2();
  const { options, fieldConfig } = panel;
  const values = getFieldDisplayValues({
    fieldConfig, reduceOptions: options.reduceOptions, replaceVariables: text => text, theme, data: frames,
    sparkline: options.graphMode !== 'none', timeZone: 'utc',
  });
  return (
    <VizRepeater
      source={values}
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width} height={height} orientation={options.orientation} autoGrid
      renderValue={({ value, width, height, count, alignmentFactors }) => (
        <BigValue
          value={value.display} sparkline={value.sparkline} width={width} height={height} count={count} theme={theme}
          alignmentFactors={alignmentFactors} colorMode={options.colorMode} graphMode={options.graphMode}
          justifyMode={options.justifyMode} textMode={options.textMode} />
      )} />
  );
}

function Graph({ panel, frames, width, height, timeRange }) {
  if (frames.length === 0) {
    return <NoData />;
  }
  return (
    <TimeSeries
      frames={frames} structureRev={1} timeRange={timeRange} timeZone="utc" width={width} height={height}
      legend={panel.options.legend} options={panel.options} />
  );
}

// spans joins equal neighbours, as mergeValues does.
function spans(field) {
  const result = [];
  field.values.forEach((value, i) => {
    const last = result.at(-1);
    if (last?.value === value) {
      last.length++;
    } else {
      result.push({ value, begin: i, length: 1 });
    }
  });
  return result.filter(({ value }) => value !== null);
}

// StateTimeline is ours: @grafana/ui has none.
function StateTimeline({ panel, frames, width, height }) {
  const theme = useTheme2();
  if (frames.length === 0) {
    return <NoData />;
  }
  const states = Object.values(panel.fieldConfig.defaults.mappings[0].options).map(({ text, color }) => ({
    label: text, color: theme.visualization.getColorByName(color), yAxis: 1,
  }));
  const legend = <VizLayout.Legend placement="bottom"><VizLegend items={states} placement="bottom" displayMode="list" /></VizLayout.Legend>;
  return (
    <VizLayout width={width} height={height} legend={legend}>
      {(width, height) => frames.map(frame => {
        const field = frame.fields[1], share = 100 / field.values.length;
        return (
          <div key={getFieldDisplayName(field, frame, frames)} style={{ display: 'flex', alignItems: 'center', width, height: height / frames.length }}>
            <div style={{ width: 90, paddingRight: 8, textAlign: 'right', fontSize: 12 }}>{getFieldDisplayName(field, frame, frames)}</div>
            <div style={{ position: 'relative', flex: 1, height: panel.options.rowHeight * 100 + '%' }}>
              {spans(field).map(({ value, begin, length }) => {
                const { text, color } = field.display(value);
                return (
                  <div key={begin} style={{
                    position: 'absolute', left: begin * share + '%', width: length * share + '%', height: '100%', background: color,
                    opacity: 0.85, overflow: 'hidden', display: 'grid', placeItems: 'center', fontSize: 12, color: theme.colors.getContrastText(color),
                  }}>{length * share > 12 ? text : ''}</div>
                );
              })}
            </div>
          </div>
        );
      })}
    </VizLayout>
  );
}

function DataTable({ frames, width, height }) {
  return <Table data={frames[0]} width={width} height={height} />;
}

const badgeColor = { critical: 'red', warning: 'orange', info: 'blue' };

// AlertList lists what Prometheus has firing or pending; Grafana's panel is not in @grafana/ui.
function AlertList({ frames: alerts }) {
  const theme = useTheme2();
  if (alerts.length === 0) {
    return <NoData text="No alerts matching filters" />;
  }
  const list = alerts.map(({ labels, state, annotations }, i) => (
    <div key={i} style={{ display: 'flex', gap: 8, padding: '6px 0', borderBottom: `1px solid ${theme.colors.border.weak}`, fontSize: 12 }}>
      <Badge color={badgeColor[labels.severity]} text={state} />
      <div><b>{labels.alertname}</b><br />{annotations.summary}</div>
    </div>
  ));
  return <div style={{ height: '100%', overflow: 'hidden' }}>{list}</div>;
}

export const drawing = { stat: Stat, timeseries: Graph, 'state-timeline': StateTimeline, table: DataTable, alertlist: AlertList };

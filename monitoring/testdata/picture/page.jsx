// Draws the dashboard's panels with the libraries of the Grafana that docker-compose.yml names, from the queries' results of /api.
import { createTheme, EventBusSrv, rangeUtil } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, Icon, PanelChrome, PanelContextProvider, ThemeContext } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { fetchPanel } from './data.js';
import { drawing } from './panels.jsx';

const gridColumns = 24, cell = 30, gap = 8, margin = 16; // as Grafana's
const theme = createTheme({ colors: { mode: 'dark' } });

// place returns a panel's rectangle in pixels.
function place({ x, y, w, h }, width) {
  const column = (width - 2 * margin - (gridColumns - 1) * gap) / gridColumns;
  return {
    position: 'absolute',
    left: margin + x * (column + gap),
    top: margin + y * (cell + gap),
    width: w * column + (w - 1) * gap,
    height: h * cell + (h - 1) * gap,
  };
}

// arrange moves up what is below a collapsed row, which takes one line.
function arrange(panels) {
  let saved = 0;
  return panels.map(panel => {
    const placed = { ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y - saved } };
    if (panel.collapsed) {
      saved += Math.max(...panel.panels.map(p => p.gridPos.y + p.gridPos.h)) - panel.gridPos.y - 1;
    }
    return placed;
  });
}

function Row({ panel, box }) {
  return (
    <div style={{ ...box, display: 'flex', alignItems: 'center', gap: 6, fontWeight: 500, fontSize: 18 }}>
      <Icon name={panel.collapsed ? 'angle-right' : 'angle-down'} />
      {panel.title}
      {panel.collapsed && <span style={{ color: theme.colors.text.secondary, fontWeight: 400, fontSize: 12 }}>({panel.panels.length} panels)</span>}
    </div>
  );
}

function Panel({ panel, frames, box, timeRange }) {
  const Drawing = drawing[panel.type];
  return (
    <div style={box}>
      <PanelChrome title={panel.title} description={panel.description} width={box.width} height={box.height}>
        {(width, height) => <Drawing panel={panel} frames={frames} width={width} height={height} timeRange={timeRange} />}
      </PanelChrome>
    </div>
  );
}

function Dashboard({ panels, results, timeRange }) {
  const width = document.documentElement.clientWidth;
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={{ eventsScope: 'picture', eventBus: new EventBusSrv(), sync: () => 0, canAddAnnotations: () => false }}>
        {panels.map(panel => {
          const box = place(panel.gridPos, width);
          return panel.type === 'row'
            ? <Row key={panel.id} panel={panel} box={box} />
            : <Panel key={panel.id} panel={panel} frames={results.get(panel.id)} box={box} timeRange={timeRange} />;
        })}
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}

async function main() {
  await initPluginTranslations('picture', []);
  const query = new URLSearchParams(location.search);
  const dashboard = await (await fetch('dashboard.json')).json();
  const timeRange = rangeUtil.convertRawToRange({ from: query.get('from'), to: 'now' });
  const panels = arrange(dashboard.panels);
  const drawn = panels.filter(panel => panel.type !== 'row');
  const results = new Map(await Promise.all(drawn.map(async panel => [panel.id, await fetchPanel(panel, dashboard, timeRange, theme)])));
  createRoot(document.getElementById('page')).render(<Dashboard panels={panels} results={results} timeRange={timeRange} />);
  const empty = drawn.filter(panel => panel.targets && results.get(panel.id).length === 0).map(panel => panel.title);
  await report({ panels: drawn.length, empty });
}

const report = result => fetch('drawn', { method: 'POST', body: JSON.stringify(result) });
window.addEventListener('error', event => report({ error: event.message }));
main().catch(error => report({ error: error.stack ?? String(error) }));

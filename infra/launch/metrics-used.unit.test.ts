/**
 * What alerts and panels ask for exists: metrics and labels of the table in `infra/src/README.md`, which is checked against the code.
 * Seen failing: with a metric renamed in an alert, and with a label that it does not have.
 */
import { globSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { parse } from 'yaml'
import { ROOT } from './paths.ts'

interface Rules {
  groups: {
    rules: { alert: string; expr: string; labels: { severity: string }; annotations: Record<string, string> }[]
  }[]
}
interface Dashboard {
  panels: { id: number; title: string; targets: { expr: string }[] }[]
}

const { groups } = parse(readFileSync(`${ROOT}/infra/deploy/prometheus/alerts.yml`, 'utf8')) as Rules
const rules = groups.flatMap((group) => group.rules)
const dashboards = globSync('infra/deploy/grafana/*.json', { cwd: ROOT }).map((file) => ({
  file,
  dashboard: JSON.parse(readFileSync(`${ROOT}/${file}`, 'utf8')) as Dashboard,
}))
const expressions = [
  ...rules.map(({ alert, expr }) => ({ where: alert, expr })),
  ...dashboards.flatMap(({ file, dashboard }) =>
    dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: `${file}: ${title}`, expr }))),
  ),
]

/** Labels by metric, of the table. */
const known = new Map<string, readonly string[]>(
  readFileSync(`${ROOT}/infra/src/README.md`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => {
      const [, names = ''] = line.split('|')
      const described = names.matchAll(/`(\w+)`(?: \{([^}]*)\})?/g)
      // Names that share a cell share the labels that stand behind one of them.
      const all = [...described].map(([, name = '', labels]) => ({ name, labels }))
      const shared = all.find(({ labels }) => labels)?.labels?.split(', ') ?? []
      return all.map(({ name }) => [`portolan_${name}`, shared] as const)
    }),
)

describe('what operators look at', () => {
  it('is written down', () => {
    expect(rules.length).to.be.greaterThan(3)
    expect(dashboards).to.not.deep.equal([])
  })

  for (const { where, expr } of expressions)
    it(`exists: ${where}`, () => {
      const metrics = [...expr.matchAll(/portolan_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''))
      expect(metrics).to.not.deep.equal([])
      for (const metric of metrics) expect([...known.keys()], metric).to.include(metric)
      const labels = [
        ...expr.matchAll(/(\w+)(?:=~|!~|!=|=)"/g),
        ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, names = '']) =>
          names.split(', ').map((name) => ['', name]),
        ),
      ]
        .map(([, name]) => name)
        .filter((name) => name !== 'le')
      for (const label of labels)
        expect(
          metrics.some((metric) => known.get(metric)?.includes(label ?? '')),
          `${where}: ${label}`,
        ).to.equal(true)
    })

  it('says what is wrong and where to look', () => {
    for (const { alert, labels, annotations } of rules) {
      expect(labels.severity, alert).to.be.oneOf(['page', 'ticket'])
      expect(annotations.summary, alert).to.be.a('string')
      expect(annotations.description, alert).to.be.a('string')
    }
  })

  it('has a place of its own on its page', () => {
    for (const { file, dashboard } of dashboards) {
      const ids = dashboard.panels.map(({ id }) => id)
      expect(new Set(ids).size, file).to.equal(ids.length)
    }
  })
})

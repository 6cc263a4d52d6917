// The alerts. Each query in ../queries/alerts returns one row for each problem. Some columns of the row become the
// dimensions in the mail: which model, what the cause is, what to do. docs/operations.md has a section for each rule.

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The Application Insights component whose log is searched.')
param componentId string

@description('The Log Analytics workspace behind that component.')
param workspaceId string

@description('Address that receives the mails. If it is empty, no mail is sent.')
param mailAddress string

@description('Dataset ids of the models that must be fresh.')
param expectedDatasets string[]

@description('Hours without a completed refresh after which an expected model counts as stale.')
param freshnessHours int

@description('An alert fires if there are more throttled answers (429) than this within 15 minutes.')
param throttleThreshold int

type ruleType = {
  @description('Name of the rule, which is also the name of its section in docs/operations.md.')
  name: string
  title: string
  description: string
  query: string
  @description('Severity: 0 critical, 1 error, 2 warning, 3 informational.')
  severity: 0 | 1 | 2 | 3
  @description('How far the query looks back, as a duration of ISO 8601.')
  window: string
  @description('How often the query runs.')
  every: string
  @description('Whether the query runs; if not given, it does.')
  enabled: bool?
  @description('Columns of the query that split the alert and are shown in the mail.')
  dimensions: string[]
  scope: string
}

var rules ruleType[] = [
  {
    name: 'request-not-completed'
    title: 'A request for a refresh did not complete'
    description: 'A caller received an outcome other than Completed. The dimensions name the model, the cause and what to do.'
    query: loadTextContent('../queries/alerts/request-not-completed.kql')
    severity: 2
    window: 'PT15M'
    every: 'PT5M'
    dimensions: ['model', 'datasetId', 'outcome', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'timers-silent'
    title: 'The timers of the app write no log lines'
    description: 'The hourly clean-up has written no line for three hours: the host is down, the timers are frozen after a deployment, or the log does not reach Application Insights. Open /api/health: the runbook has a step for each answer.'
    query: loadTextContent('../queries/alerts/timers-silent.kql')
    severity: 1
    window: 'PT3H'
    every: 'PT30M'
    dimensions: ['cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'engine-unavailable'
    title: 'The refresh service cannot accept or answer calls'
    description: 'The app could not store or read requests: its storage account or its host has a problem, and callers get 503.'
    query: loadTextContent('../queries/alerts/engine-unavailable.kql')
    severity: 1
    window: 'PT15M'
    every: 'PT5M'
    dimensions: ['datasetId', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'needs-a-person'
    title: 'The refresh service needs a person'
    description: 'The app has logged an error that it cannot repair: a callback was abandoned, a step failed unexpectedly, or stored values are from newer code.'
    query: loadTextContent('../queries/alerts/needs-a-person.kql')
    severity: 2
    window: 'PT30M'
    every: 'PT15M'
    dimensions: ['datasetId', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'model-stays-busy'
    title: 'A model stays busy with an external refresh'
    description: 'A run has waited for an hour for a refresh that another tool or a schedule started.'
    query: loadTextContent('../queries/alerts/model-stays-busy.kql')
    severity: 2
    window: 'PT3H'
    every: 'PT15M'
    dimensions: ['datasetId', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'power-bi-throttles'
    title: 'Power BI throttles the app'
    description: 'Power BI has answered 429 more often than throttleThreshold within 15 minutes.'
    query: replace(loadTextContent('../queries/alerts/power-bi-throttles.kql'), '{throttleThreshold}', string(throttleThreshold))
    severity: 2
    window: 'PT15M'
    every: 'PT15M'
    dimensions: ['datasetId', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'callers-refused'
    title: 'Callers are refused'
    description: 'The app has refused a signed-in principal ten times or more within 15 minutes: either it is in READERS and tried to do more than read, or it is in neither READERS nor CALLERS.'
    query: loadTextContent('../queries/alerts/callers-refused.kql')
    severity: 2
    window: 'PT15M'
    every: 'PT15M'
    dimensions: ['principal', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'model-overdue'
    title: 'A model is overdue'
    description: 'A model has had no success for longer than its requests or EXPECTED_EVERY_HOURS allow. The app logs this once for each such period.'
    query: loadTextContent('../queries/alerts/model-overdue.kql')
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    dimensions: ['model', 'datasetId', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'slower-than-usual'
    title: 'A refresh takes longer than usual'
    description: 'A refresh took more than one and a half times the median of the last two days, and more than two minutes longer than that median.'
    query: loadTextContent('../queries/alerts/slower-than-usual.kql')
    severity: 3
    window: 'P2D'
    every: 'PT1H'
    dimensions: ['model', 'datasetId', 'cause', 'whatToDo']
    scope: componentId
  }
  {
    name: 'log-capped'
    title: 'The log has reached its daily cap'
    description: 'The workspace accepts no more log data until the next day; until then, no other alert is reliable. Raise logDailyCapGb, or find out what fills the log.'
    query: loadTextContent('../queries/alerts/log-capped.kql')
    severity: 1
    window: 'PT1H'
    every: 'PT15M'
    dimensions: ['cause', 'whatToDo']
    scope: workspaceId
  }
  {
    name: 'model-stale'
    title: 'A model is not fresh'
    description: 'An expected model has had no completed refresh for freshnessHours.'
    // always deployed, because a deployment deletes nothing: without expectedDatasets it disables an earlier rule
    enabled: !empty(expectedDatasets)
    query: replace(
      replace(loadTextContent('../queries/alerts/model-stale.kql'), '{expectedDatasets}', join(map(expectedDatasets, id => '"${toLower(id)}"'), ', ')),
      '{freshnessHours}',
      string(freshnessHours)
    )
    severity: 1
    window: 'P2D'
    every: 'PT30M'
    dimensions: ['datasetId', 'cause', 'whatToDo']
    scope: componentId
  }
]

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(mailAddress)) {
  name: 'refresh-service'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'refresh'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: mailAddress, useCommonAlertSchema: true }]
  }
}

resource queryRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: rule.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: '${rule.description} Runbook: docs/operations.md, section ${rule.name}.'
      enabled: rule.?enabled ?? true
      severity: rule.severity
      scopes: [rule.scope]
      windowSize: rule.window
      evaluationFrequency: rule.every
      autoMitigate: true
      // the table of the log exists only after the first line of the app
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: map(rule.dimensions, name => { name: name, operator: 'Include', values: ['*'] })
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: empty(mailAddress) ? [] : [mail.id] }
    }
  }
]

output actionGroupId string = empty(mailAddress) ? '' : mail.id

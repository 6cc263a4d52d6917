// The shapes that main.bicep and the modules share.

@export()
@description('One caller of the app: the managed identity of a data factory, a Synapse workspace or a logic app, another service principal, or a person.')
@sealed()
type callerType = {
  @description('Application (client) id of the identity, which the platform\'s sign-in admits.')
  @minLength(36)
  @maxLength(36)
  applicationId: string

  @description('Object id of the identity (of its enterprise application), which the platform\'s sign-in and the app setting ALLOWED_CALLERS or ALLOWED_READERS admit.')
  @minLength(36)
  @maxLength(36)
  objectId: string
}

@export()
@description('Workspaces of one capacity, and the number of refreshes that the app may run in them at once.')
@sealed()
type capacityLimitType = {
  @description('Name of the group, which statuses and the log show.')
  @minLength(1)
  @maxLength(64)
  name: string

  @description('Ids of the workspaces of the group. One group may omit them: it contains all workspaces that no other group names.')
  @minLength(1)
  workspaces: string[]?

  @description('How many refreshes of the app may run in the group at the same time.')
  @minValue(1)
  @maxValue(1000)
  refreshes: int
}

@export()
@description('App settings that most deployments leave at the defaults of the code. docs/settings.md describes each of them.')
@sealed()
type tuningType = {
  @description('Address of the Power BI API, if it is not that of the cloud.')
  POWER_BI_API_URL: string?

  @description('Scope of the tokens, if it is not that of the cloud. Required with POWER_BI_API_URL in a deployment.')
  POWER_BI_SCOPE: string?

  @description('Shortest pause between two reads of a refresh, in seconds.')
  POLL_MIN_SECONDS: string?

  @description('Longest pause between two reads of a refresh near its expected end, in seconds.')
  POLL_MAX_SECONDS: string?

  @description('How long Power BI may be unreachable before a request whose refresh has not started is given up, in seconds.')
  OUTAGE_BUDGET_SECONDS: string?

  @description('How long an accepted refresh may be missing from the refresh history before it counts as dropped, in seconds.')
  VISIBILITY_GRACE_SECONDS: string?

  @description('How long a request waits without a notification before it rechecks its queue, in seconds.')
  RECHECK_SECONDS: string?

  @description('Whether answers contain the management URIs of Durable Functions instead of the app\'s own. These URIs contain a key that gives access to all orchestrations of the app.')
  EXPOSE_MANAGEMENT_URIS: ('true' | 'false')?

  @description('Whether the app serves the status page at /api/ui.')
  UI_ENABLED: ('true' | 'false')?

  @description('Beginning of the URIs in answers if it is not the host name of the app, for example that of a gateway.')
  PUBLIC_BASE_URL: string?
}

@export()
@description('A value of the environment, or the default if the value is not set. In a pipeline, unset variables arrive as empty strings.')
func valueOr(value string, default string) string => empty(value) ? default : value

@export()
@description('The parts of a list that is separated by commas, without spaces.')
func listOf(value string) array => filter(split(replace(value, ' ', ''), ','), part => !empty(part))

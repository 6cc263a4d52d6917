// The shapes that main.bicep and the modules share.

@export()
@description('One caller of the app: the managed identity of a data factory, a Synapse workspace or a logic app, another service principal, or a person.')
@sealed()
type callerType = {
  @description('Application (client) id of the identity. The platform\'s sign-in admits this application.')
  @minLength(36)
  @maxLength(36)
  applicationId: string

  @description('Object id of the identity (its enterprise application). The platform\'s sign-in and the app setting ALLOWED_CALLERS or ALLOWED_READERS admit this principal.')
  @minLength(36)
  @maxLength(36)
  objectId: string
}

@export()
@description('Workspaces of one capacity, and how many refreshes of the app it allows at once.')
@sealed()
type capacityLimitType = {
  @description('Name of the group, as statuses and the log show it.')
  @minLength(1)
  @maxLength(64)
  name: string

  @description('Ids of its workspaces; left out in the one group of all workspaces that no other group names.')
  @minLength(1)
  workspaces: string[]?

  @description('How many refreshes of the app may run at the same time.')
  @minValue(1)
  @maxValue(1000)
  refreshes: int
}

@export()
@description('App settings that most deployments leave at the defaults of the code. docs/settings.md describes each.')
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

  @description('How long Power BI may be unreachable before a refresh that was not started is given up, in seconds.')
  OUTAGE_BUDGET_SECONDS: string?

  @description('How long an accepted refresh may be missing from the refresh history before it counts as dropped, in seconds.')
  VISIBILITY_GRACE_SECONDS: string?

  @description('Interval at which a request checks its queue when no notification arrives, in seconds.')
  RECHECK_SECONDS: string?

  @description('Answers return the management URIs of Durable Functions instead of those of the app. They contain a key that gives access to all orchestrations of the app.')
  EXPOSE_MANAGEMENT_URIS: ('true' | 'false')?

  @description('Serve the status page at /api/ui.')
  UI_ENABLED: ('true' | 'false')?

  @description('Beginning of the URIs in answers when it is not the host name of the app, for example a gateway.')
  PUBLIC_BASE_URL: string?
}

@export()
@description('A value of the environment, or a default where it is not set. A pipeline hands on variables that are not set as empty texts.')
func valueOr(value string, default string) string => empty(value) ? default : value

@export()
@description('The parts of a list that is separated by commas; spaces do not count.')
func listOf(value string) array => filter(split(replace(value, ' ', ''), ','), part => !empty(part))

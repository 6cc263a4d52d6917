// The app settings that the code of this project reads, and nothing else. tests/unit/test_infra.py compares the names
// with refresh/settings.py. The settings of the Functions host are in modules/functionApp.bicep.

import { callerType, capacityLimitType, tuningType } from 'types.bicep'

@export()
@description('The settings of the app that the deployment decides.')
@sealed()
type ownType = {
  powerBiCloud: string
  identityClientId: string
  allowedWorkspaces: string[]
  callbackAllowedHosts: string[]
  capacityLimits: capacityLimitType[]
  retentionDays: int
  authMode: string
  callers: callerType[]
  readers: callerType[]
  expectedEveryHours: object
  tuning: tuningType
}

@export()
@description('The settings by name. A setting without a value is omitted, so that the default of the code applies.')
func ownSettings(own ownType) object => toObject(
  filter(
    [
      { name: 'POWER_BI_CLOUD', value: own.powerBiCloud }
      { name: 'POWER_BI_API_URL', value: own.tuning.?POWER_BI_API_URL ?? '' }
      { name: 'POWER_BI_SCOPE', value: own.tuning.?POWER_BI_SCOPE ?? '' }
      { name: 'AZURE_CLIENT_ID', value: own.identityClientId }
      { name: 'ALLOWED_WORKSPACES', value: join(own.allowedWorkspaces, ',') }
      { name: 'CALLBACK_ALLOWED_HOSTS', value: join(own.callbackAllowedHosts, ',') }
      { name: 'CAPACITY_LIMITS', value: empty(own.capacityLimits) ? '' : string(own.capacityLimits) }
      { name: 'POLL_MIN_SECONDS', value: own.tuning.?POLL_MIN_SECONDS ?? '' }
      { name: 'POLL_MAX_SECONDS', value: own.tuning.?POLL_MAX_SECONDS ?? '' }
      { name: 'OUTAGE_BUDGET_SECONDS', value: own.tuning.?OUTAGE_BUDGET_SECONDS ?? '' }
      { name: 'VISIBILITY_GRACE_SECONDS', value: own.tuning.?VISIBILITY_GRACE_SECONDS ?? '' }
      { name: 'RECHECK_SECONDS', value: own.tuning.?RECHECK_SECONDS ?? '' }
      { name: 'RETENTION_DAYS', value: string(own.retentionDays) }
      { name: 'EXPOSE_MANAGEMENT_URIS', value: own.tuning.?EXPOSE_MANAGEMENT_URIS ?? '' }
      { name: 'UI_ENABLED', value: own.tuning.?UI_ENABLED ?? '' }
      { name: 'AUTH_MODE', value: own.authMode }
      // the second check: the platform's sign-in (modules/functionApp.bicep) admits the same callers and readers
      { name: 'ALLOWED_CALLERS', value: own.authMode == 'entra' ? join(map(own.callers, caller => caller.objectId), ',') : '' }
      { name: 'ALLOWED_READERS', value: own.authMode == 'entra' ? join(map(own.readers, reader => reader.objectId), ',') : '' }
      { name: 'EXPECTED_EVERY_HOURS', value: empty(own.expectedEveryHours) ? '' : string(own.expectedEveryHours) }
      { name: 'PUBLIC_BASE_URL', value: own.tuning.?PUBLIC_BASE_URL ?? '' }
    ],
    setting => !empty(setting.value)
  ),
  setting => setting.name,
  setting => setting.value
)

// Everything inside the resource group. main.bicep creates the group and calls this file.

import { callerType, capacityLimitType, tuningType } from 'types.bicep'
import { ownSettings } from 'settings.bicep'

@description('Makes the names of the resources unique: 5 to 13 lower-case letters and digits.')
@minLength(5)
@maxLength(13)
param token string = toLower(uniqueString(resourceGroup().id))

@description('Region of all resources.')
param location string = resourceGroup().location

@description('Tags of all resources.')
param tags object = {}

@description('Hosting plan. Use ElasticPremium where Flex Consumption is not offered.')
@allowed(['FlexConsumption', 'ElasticPremium'])
param plan string = 'FlexConsumption'

@description('Version of Python that runs the app.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.12'

@description('Who may call. entra: the listed principals, which are managed identities, service principals or people. key: every caller that has a function key.')
@allowed(['entra', 'key'])
param authMode string = 'entra'

@description('Client id of the app registration for which callers request tokens. Required with authMode entra; the hook before provisioning creates the registration.')
param signInClientId string = ''

@description('The identities that may call, with authMode entra. The platform\'s sign-in and the app\'s own check both admit these.')
param callers callerType[] = []

@description('The identities that may only read, with authMode entra, such as people who look at the state of models. For a person who signs in with the app registration itself, the application id is signInClientId.')
param readers callerType[] = []

@description('Ids of the workspaces whose semantic models may be refreshed. If it is empty, all workspaces are allowed.')
param allowedWorkspaces string[] = []

@description('Hosts that may be called back. If it is empty, the default of the code applies (Data Factory, Synapse, Logic Apps Consumption).')
param callbackAllowedHosts string[] = []

@description('Groups of workspaces, each with a limit on how many refreshes the app runs in the group at once. If it is empty, there is no limit.')
param capacityLimits capacityLimitType[] = []

@description('Cloud of the Power BI tenant.')
@allowed(['public', 'gcc', 'gcchigh', 'dod', 'china'])
param powerBiCloud string = 'public'

@description('Whether the storage account can be reached only through private endpoints. The app itself remains reachable for its callers.')
param privateNetwork bool = false

@description('Number of instances that are always on, for orchestrators, activities and entities. Microsoft recommends 1 for Durable Functions on Azure Storage; 0 is cheaper, and timers may be late after idle time.')
@allowed([0, 1, 2])
param alwaysReadyInstances int = 1

@description('Largest number of instances.')
@minValue(1)
@maxValue(100)
param maximumInstances int = 40

@description('Whether the plan and the storage account are spread across availability zones, in regions that have them.')
param zoneRedundant bool = false

@description('Where Durable Functions keeps its state.')
@allowed(['azureStorage', 'durableTaskScheduler'])
param backend string = 'azureStorage'

@description('IP ranges that can reach the Durable Task Scheduler, with backend durableTaskScheduler. At least one is needed; 0.0.0.0/0 admits every address.')
param schedulerIpAllowlist string[] = ['0.0.0.0/0']

@description('Name of the task hub. A new name means a new, empty task hub (docs/operations.md).')
@minLength(3)
@maxLength(45)
param taskHubName string = 'refreshhub'

@description('Days after which ended requests and runs are purged from the storage account.')
@minValue(1)
@maxValue(365)
param retentionDays int = 30

@description('Days for which the log is kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Gigabytes of log a day, after which the workspace accepts no more until the next day. -1 means no cap.')
@minValue(-1)
param logDailyCapGb int = 1

@description('Address that receives the alerts. Without an address, the alerts appear in the portal only.')
param alertMailAddress string = ''

@description('Dataset ids of the semantic models that must be fresh: an alert fires when one of them has had no completed refresh for freshnessHours.')
param expectedDatasets string[] = []

@description('Hours without a completed refresh after which an expected model counts as stale.')
@minValue(1)
@maxValue(48)
param freshnessHours int = 26

@description('For selected models: the longest time between two successful refreshes, in hours, by dataset id. It becomes the app setting EXPECTED_EVERY_HOURS. For example {"01234567-89ab-cdef-0123-456789abcdef": 24}.')
param expectedEveryHours object = {}

@description('An alert fires if Power BI sends more throttled answers (429) than this within 15 minutes.')
@minValue(1)
param throttleThreshold int = 10

@description('Monthly budget of the resource group in the currency of the subscription. With 0, there is no budget.')
@minValue(0)
param monthlyBudget int = 0

@description('First day of the budget: the first of a month. It cannot be changed later, so deploy again with the same value.')
param budgetStartDate string = utcNow('yyyy-MM-01')

@description('App settings that most deployments leave at their defaults.')
param tuning tuningType = {}

// if the app could not work, the deployment fails here and names the reason
var signInId = authMode == 'entra' && empty(signInClientId)
  ? fail('authMode entra needs signInClientId: the client id of the app registration for which callers request tokens.')
  : signInClientId
var admittedCallers = authMode == 'entra' && empty(callers)
  ? fail('authMode entra needs callers: without an entry, no caller could call the app.')
  : callers

var dailyCapGb = logDailyCapGb == 0 ? fail('logDailyCapGb 0 would keep no log: use -1 for no cap.') : logDailyCapGb

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: { name: 'id-refresh-${token}', location: location, tags: tags }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  params: { name: 'vnet-refresh-${token}', location: location, tags: tags, plan: plan }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: 'strefresh${token}'
    location: location
    tags: tags
    zoneRedundant: zoneRedundant
    privateOnly: privateNetwork
    appPrincipalId: identity.outputs.principalId
  }
}

module endpoints 'modules/privateEndpoints.bicep' = if (privateNetwork) {
  name: 'privateEndpoints'
  params: {
    location: location
    tags: tags
    networkId: network.?outputs.networkId ?? ''
    subnetId: network.?outputs.endpointSubnetId ?? ''
    storageAccountId: storage.outputs.id
    storageAccountName: storage.outputs.name
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    token: token
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGb: dailyCapGb
    appPrincipalId: identity.outputs.principalId
  }
}

module scheduler 'modules/scheduler.bicep' = if (backend == 'durableTaskScheduler') {
  name: 'scheduler'
  params: {
    name: 'dts-refresh-${token}'
    location: location
    tags: tags
    taskHubName: taskHubName
    ipAllowlist: schedulerIpAllowlist
    appPrincipalId: identity.outputs.principalId
  }
}

module app 'modules/functionApp.bicep' = {
  name: 'functionApp'
  params: {
    name: 'func-refresh-${token}'
    location: location
    tags: tags
    plan: plan
    pythonVersion: pythonVersion
    zoneRedundant: zoneRedundant
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstances: maximumInstances
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: storage.outputs.name
    packageContainerName: storage.outputs.packageContainerName
    applicationInsightsName: monitoring.outputs.componentName
    appSubnetId: network.?outputs.appSubnetId ?? ''
    taskHubName: taskHubName
    schedulerEndpoint: scheduler.?outputs.endpoint ?? ''
    authMode: authMode
    signInClientId: signInId
    callers: concat(admittedCallers, authMode == 'entra' ? readers : [])
    ownSettings: ownSettings({
      powerBiCloud: powerBiCloud
      identityClientId: identity.outputs.clientId
      allowedWorkspaces: allowedWorkspaces
      callbackAllowedHosts: callbackAllowedHosts
      capacityLimits: capacityLimits
      retentionDays: retentionDays
      authMode: authMode
      callers: admittedCallers
      readers: readers
      expectedEveryHours: expectedEveryHours
      tuning: tuning
    })
  }
  // the private endpoints must exist before the app starts for the first time
  dependsOn: [endpoints]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    componentId: monitoring.outputs.componentId
    workspaceId: monitoring.outputs.workspaceId
    mailAddress: alertMailAddress
    expectedDatasets: expectedDatasets
    freshnessHours: freshnessHours
    throttleThreshold: throttleThreshold
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: { location: location, tags: tags, componentId: monitoring.outputs.componentId }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  params: {
    amount: max(1, monthlyBudget)
    startDate: budgetStartDate
    actionGroupId: alerts.outputs.actionGroupId
  }
}

@description('Address of the app.')
output appUrl string = app.outputs.url

@description('Name of the function app.')
output appName string = app.outputs.name

@description('Audience for which callers request a token, with authMode entra; empty with key.')
output audience string = authMode == 'entra' ? 'api://${signInClientId}' : ''

@description('Name of the identity of the app.')
output identityName string = identity.outputs.name

@description('Client id of the identity of the app.')
output identityClientId string = identity.outputs.clientId

@description('Object id of the identity of the app.')
output identityPrincipalId string = identity.outputs.principalId

@description('Address of the container with the deployment package.')
output packageContainerUrl string = storage.outputs.packageContainerUrl

// The whole deployment: a resource group and everything in it. `azd up` runs this file; `azd down` deletes the group.
// If you have rights on one resource group only, deploy resources.bicep into that group.

targetScope = 'subscription'

import { callerType, capacityLimitType, tuningType } from 'types.bicep'

@description('Name of the azd environment. It is part of the name of the resource group and of the tags.')
@minLength(1)
@maxLength(48)
param environmentName string

@description('Region of all resources. With the plan FlexConsumption, it must offer that plan (az functionapp list-flexconsumption-locations).')
@minLength(1)
param location string

@description('Name of the resource group.')
@minLength(1)
@maxLength(90)
param resourceGroupName string = 'rg-${environmentName}'

@description('Further tags of all resources, for example {"cost-center": "4711"}.')
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

var allTags = union(tags, { 'azd-env-name': environmentName })

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module resources 'resources.bicep' = {
  name: 'resources'
  scope: group
  params: {
    token: toLower(uniqueString(subscription().id, environmentName, location))
    location: location
    tags: allTags
    plan: plan
    pythonVersion: pythonVersion
    authMode: authMode
    signInClientId: signInClientId
    callers: callers
    readers: readers
    allowedWorkspaces: allowedWorkspaces
    callbackAllowedHosts: callbackAllowedHosts
    capacityLimits: capacityLimits
    powerBiCloud: powerBiCloud
    privateNetwork: privateNetwork
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstances: maximumInstances
    zoneRedundant: zoneRedundant
    backend: backend
    schedulerIpAllowlist: schedulerIpAllowlist
    taskHubName: taskHubName
    retentionDays: retentionDays
    logRetentionDays: logRetentionDays
    logDailyCapGb: logDailyCapGb
    alertMailAddress: alertMailAddress
    expectedDatasets: expectedDatasets
    freshnessHours: freshnessHours
    expectedEveryHours: expectedEveryHours
    throttleThreshold: throttleThreshold
    monthlyBudget: monthlyBudget
    budgetStartDate: budgetStartDate
    tuning: tuning
  }
}

// The hooks in infra/hooks read these. None of them is a secret.

@description('Address of the app.')
output APP_URL string = resources.outputs.appUrl

@description('Name of the function app.')
output APP_NAME string = resources.outputs.appName

@description('Resource group of the app.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Hosting plan of the app, which decides how the package is deployed.')
output PLAN string = plan

@description('Backend of Durable Functions, which decides which host.json is packaged.')
output BACKEND string = backend

@description('Version of Python for which the package is built.')
output PYTHON_VERSION string = pythonVersion

@description('Who may call.')
output AUTH_MODE string = authMode

@description('Audience for which callers request a token, with authMode entra.')
output AUDIENCE string = resources.outputs.audience

@description('Name of the identity that signs in to Power BI. It needs a role in the workspaces.')
output IDENTITY_NAME string = resources.outputs.identityName

@description('Client id of that identity.')
output IDENTITY_CLIENT_ID string = resources.outputs.identityClientId

@description('Object id of that identity.')
output IDENTITY_PRINCIPAL_ID string = resources.outputs.identityPrincipalId

@description('Address of the container with the deployment package.')
output PACKAGE_CONTAINER_URL string = resources.outputs.packageContainerUrl

// The plan and the function app: identity instead of keys everywhere, basic authentication of the deployment sites disabled.

import { callerType } from '../types.bicep'

@description('Name of the function app.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Hosting plan.')
@allowed(['FlexConsumption', 'ElasticPremium'])
param plan string

@description('Version of Python.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string

@description('Whether the plan is spread across availability zones.')
param zoneRedundant bool

@description('Number of instances that always run the durable functions.')
@minValue(0)
param alwaysReadyInstances int

@description('Largest number of instances.')
@minValue(1)
param maximumInstances int

@description('Resource id of the identity of the app.')
param identityId string

@description('Client id of the identity of the app.')
param identityClientId string

@description('The storage account.')
param storageAccountName string

@description('The container of the deployment package.')
param packageContainerName string

@description('The Application Insights component.')
param applicationInsightsName string

@description('Subnet of the app; empty without a private network.')
param appSubnetId string

@description('Name of the task hub.')
param taskHubName string

@description('Address of the Durable Task Scheduler; empty with the backend azureStorage.')
param schedulerEndpoint string

@description('Who may call.')
@allowed(['entra', 'key'])
param authMode string

@description('Client id of the app registration for which callers request tokens.')
param signInClientId string

@description('The identities that may call.')
param callers callerType[]

@description('The settings that the code reads, by name.')
param ownSettings object

var flex = plan == 'FlexConsumption'
// Elastic Premium spreads its instances across zones only if there are enough of them; Flex Consumption adds its own
var zoneInstances = 3
var minInstances = zoneRedundant ? zoneInstances : 1
var maxInstances = !flex && maximumInstances < minInstances
  ? fail('zoneRedundant with plan ElasticPremium needs maximumInstances ${zoneInstances} or more.')
  : maximumInstances
var packageUrl = '${storage.properties.primaryEndpoints.blob}${packageContainerName}'

// the settings that the Functions host reads: addresses and names of identities, and no secrets
var hostSettings = union(
  {
    AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
    AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
    AzureWebJobsStorage__tableServiceUri: storage.properties.primaryEndpoints.table
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    // host.json of the package names this setting as its hub (infra/package.py)
    TASKHUB_NAME: taskHubName
  },
  empty(schedulerEndpoint)
    ? {}
    : {
        DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${identityClientId}'
      },
  // Flex Consumption refuses these settings; it has functionAppConfig instead
  flex
    ? {}
    : {
        FUNCTIONS_EXTENSION_VERSION: '~4'
        FUNCTIONS_WORKER_RUNTIME: 'python'
        // the package is read from the container with the identity, so that neither a file share nor its key is needed
        WEBSITE_RUN_FROM_PACKAGE: '${packageUrl}/app.zip'
        WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: identityId
      }
)

var signInSettings = {
  platform: { enabled: true, runtimeVersion: '~1' }
  globalValidation: {
    // Not RedirectToLoginPage or Return401: statusUri and cancelUri contain their own token, and callers that poll, such
    // as Data Factory and Logic Apps, send no other token. The app answers 401 on all other routes that start or show
    // anything. The platform still refuses invalid tokens, and removes its own headers from incoming calls.
    requireAuthentication: false
    unauthenticatedClientAction: 'AllowAnonymous'
  }
  httpSettings: { requireHttps: true }
  login: { tokenStore: { enabled: false } }
  identityProviders: {
    azureActiveDirectory: {
      enabled: true
      registration: {
        clientId: signInClientId
        openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
      }
      validation: {
        allowedAudiences: ['api://${signInClientId}', signInClientId]
        // the first check; ALLOWED_CALLERS and ALLOWED_READERS in settings.bicep are the second, from the same parameters
        defaultAuthorizationPolicy: {
          allowedApplications: map(callers, caller => caller.applicationId)
          allowedPrincipals: { identities: map(callers, caller => caller.objectId) }
        }
      }
    }
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: storageAccountName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource servicePlan 'Microsoft.Web/serverfarms@2025-03-01' = {
  // checkov:skip=CKV_AZURE_225: availability zones are the parameter zoneRedundant, because not every region has them
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: flex ? 'functionapp' : 'elastic'
  sku: flex
    ? { name: 'FC1', tier: 'FlexConsumption' }
    : { name: 'EP1', tier: 'ElasticPremium', capacity: zoneRedundant ? zoneInstances : null }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
    elasticScaleEnabled: flex ? null : true
    maximumElasticWorkerCount: flex ? null : maxInstances
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  // checkov:skip=CKV_AZURE_222: data factories and logic apps without a private network call the app; sign-in is the boundary
  // checkov:skip=CKV_AZURE_17: callers are managed identities, which have tokens and no client certificates
  // checkov:skip=CKV_AZURE_78: FTP is disabled on ElasticPremium; Flex Consumption has none, and refuses the property
  // checkov:skip=CKV_AZURE_212: the number of instances follows the load; alwaysReadyInstances is the lower bound
  name: name
  location: location
  // azd finds the app by this tag; on ElasticPremium infra/publish.py deploys instead
  tags: flex ? union(tags, { 'azd-service-name': 'app' }) : tags
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: servicePlan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(appSubnetId) ? null : appSubnetId
    keyVaultReferenceIdentity: identityId
    functionAppConfig: flex
      ? {
          deployment: {
            storage: {
              type: 'blobContainer'
              value: packageUrl
              authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
            }
          }
          runtime: { name: 'python', version: pythonVersion }
          scaleAndConcurrency: {
            instanceMemoryMB: 2048
            maximumInstanceCount: maximumInstances < 40 ? 40 : maximumInstances
            alwaysReady: alwaysReadyInstances == 0 ? [] : [{ name: 'durable', instanceCount: alwaysReadyInstances }]
            // the platform's default for Python is one request per instance: a start with waitSeconds would occupy a whole
            // instance
            triggers: { http: { perInstanceConcurrency: 32 } }
          }
        }
      : null
    siteConfig: {
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
      // In some regions, Flex Consumption refuses the properties that are null here (null omits them). It has no FTP and
      // no health check, and routes all traffic into its network.
      ftpsState: flex ? null : 'Disabled'
      linuxFxVersion: flex ? null : 'Python|${pythonVersion}'
      healthCheckPath: flex ? null : '/api/health'
      minimumElasticInstanceCount: flex ? null : max(minInstances, alwaysReadyInstances)
      functionAppScaleLimit: flex ? null : maxInstances
      vnetRouteAllEnabled: flex ? null : !empty(appSubnetId)
      // without it, only HTTP calls add instances if the storage account is private
      functionsRuntimeScaleMonitoringEnabled: flex ? null : !empty(appSubnetId)
      appSettings: map(items(union(hostSettings, ownSettings)), setting => { name: setting.key, value: setting.value })
    }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }

  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource slotNames 'config' = if (!flex) {
    name: 'slotConfigNames'
    // slot settings do not move in a swap: if these did, each slot would run on the task hub of the other one, and
    // answer with the URIs of the other one
    properties: { appSettingNames: ['TASKHUB_NAME', 'PUBLIC_BASE_URL'] }
  }

  resource signIn 'config' = {
    // checkov treats every resource of the type sites/config as a separate web app:
    // checkov:skip=CKV_AZURE_13: this resource is the sign-in that the check looks for
    // checkov:skip=CKV_AZURE_80: the app is Python
    // checkov:skip=CKV_AZURE_88: the app writes no files; its state is in Durable Functions
    // checkov:skip=CKV_AZURE_63: requests are telemetry of Application Insights
    // checkov:skip=CKV_AZURE_65: errors are in Application Insights; detailed pages would only show them to callers
    // checkov:skip=CKV_AZURE_66: the same reason as for CKV_AZURE_65
    name: 'authsettingsV2'
    // also with keys, so that a deployment that changes entra to key disables the sign-in
    properties: authMode == 'entra' ? signInSettings : { platform: { enabled: false } }
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'

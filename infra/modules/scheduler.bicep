// The Durable Task Scheduler, with one task hub.

@description('Name of the scheduler.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Name of the task hub.')
param taskHubName string

@description('IP ranges that can reach the scheduler. At least one is needed; 0.0.0.0/0 admits every address.')
@minLength(1)
param ipAllowlist string[]

@description('Object id of the identity of the app.')
param appPrincipalId string

var durableTaskDataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402'

resource scheduler 'Microsoft.DurableTask/schedulers@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'Consumption' }
    ipAllowlist: ipAllowlist
  }

  resource hub 'taskHubs' = {
    name: taskHubName
  }
}

resource contributor 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(scheduler.id, appPrincipalId, durableTaskDataContributor)
  scope: scheduler
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', durableTaskDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output endpoint string = scheduler.properties.endpoint

// The network that privateNetwork creates: one subnet for the app, one for the private endpoints.

@description('Name of the virtual network.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Hosting plan, which decides to which service the subnet of the app is delegated.')
@allowed(['FlexConsumption', 'ElasticPremium'])
param plan string

var delegation = plan == 'FlexConsumption' ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'

resource endpointRules 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: '${name}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'app-to-storage'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: '10.90.0.0/24'
          sourcePortRange: '*'
          destinationAddressPrefix: '10.90.1.0/27'
          destinationPortRange: '443'
        }
      }
      {
        name: 'nothing-else'
        properties: {
          priority: 200
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource appRules 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: '${name}-app'
  location: location
  tags: tags
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.90.0.0/16'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.90.0.0/24'
          networkSecurityGroup: { id: appRules.id }
          delegations: [{ name: 'app', properties: { serviceName: delegation } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.90.1.0/27'
          networkSecurityGroup: { id: endpointRules.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }

  resource appSubnet 'subnets' existing = { name: 'app' }
  resource endpointSubnet 'subnets' existing = { name: 'endpoints' }
}

output networkId string = network.id
output appSubnetId string = network::appSubnet.id
output endpointSubnetId string = network::endpointSubnet.id

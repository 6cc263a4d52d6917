// The workbook: models by freshness, failures by cause, waits, durations, throttling.

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The Application Insights component whose log the workbook shows.')
param componentId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'refresh-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Power BI refreshes'
    category: 'workbook'
    sourceId: componentId
    serializedData: loadTextContent('../workbook.json')
  }
}

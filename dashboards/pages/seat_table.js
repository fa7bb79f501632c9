// A table of seats whose cells stay the elements that they are while their words change: a button that has the focus
// keeps it. Cells of a template that is sent are made anew whenever anything of the page changes. What sorts a column is
// a button, so that it is reached without a mouse; Quasar hears of its press at the cell around it.
export default {
  template: `
    <q-table ref="qRef" :columns="columns">
      <template #header-cell="cell">
        <q-th :props="cell"><button type="button" class="sort-button">{{ cell.col.label }}</button></q-th>
      </template>
      <template #body-cell-name="cell">
        <q-td :props="cell"><q-btn flat dense no-caps class="seat-button" :label="cell.row.name"
          @click="$emit('seat', cell.row.key)"></q-btn></q-td>
      </template>
      <template #body-cell-state="cell">
        <q-td :props="cell"><span class="state-cell" :class="cell.row.tone"><q-icon :name="cell.row.icon"
          aria-hidden="true"></q-icon><span>{{ cell.row.state }}</span></span></q-td>
      </template>
      <template #body-cell-reason="cell">
        <q-td :props="cell" class="reason-cell">{{ cell.row.reason }}</q-td>
      </template>
    </q-table>
  `,
  props: { columns: Array },
  emits: ["seat"],
};

//! Aligned columns as Go's tabwriter lays them out with runc's settings: at least 12 wide, 3 blanks apart.

/// The rows as text, a line each. Every column but the last is padded to its widest cell.
pub fn layout(rows: &[Vec<String>]) -> String {
    const NARROWEST: usize = 12;
    const APART: usize = 3;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let widest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
            (widest.unwrap_or(0) + APART).max(NARROWEST)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text += cell;
            if column + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count()));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::layout;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn a_header_alone_is_runcs() {
        let header = row(&["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
        assert_eq!(layout(&[header]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }

    #[test]
    fn wide_cells_widen_their_column() {
        let rows = [row(&["ID", "BUNDLE", "OWNER"]), row(&["c", "/containers/é", "root"])];
        assert_eq!(layout(&rows), "ID          BUNDLE          OWNER\nc           /containers/é   root\n");
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(layout(&[]), "");
    }
}

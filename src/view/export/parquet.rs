//! Apache Parquet, column by column.

use super::table::{COLUMNS, Cell, Column, Kind, Row, SCHEMA};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use std::sync::Arc;

/// Rows of one group: what a reader takes into memory at once.
const GROUP: usize = 100_000;

/// Returns the rows as a Parquet file.
pub fn parquet(rows: &[Row<'_>]) -> Result<Vec<u8>> {
    let version = KeyValue::new("schema".to_owned(), SCHEMA.to_owned());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("dgm version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![version]))
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema()?, Arc::new(properties))?;
    for rows in rows.chunks(GROUP) {
        let mut group = writer.next_row_group()?;
        for column in COLUMNS {
            if let Some(mut target) = group.next_column()? {
                write(&mut target, column, rows)?;
                target.close()?;
            }
        }
        group.close()?;
    }
    writer.into_inner()
}

fn schema() -> Result<TypePtr> {
    let fields = COLUMNS.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Integer => (Physical::INT64, None),
            Kind::Real => (Physical::DOUBLE, None),
            Kind::Flag => (Physical::BOOLEAN, None),
            Kind::Moment => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
            ),
        };
        let field = Type::primitive_type_builder(column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        Ok(Arc::new(field))
    });
    let fields = fields.collect::<Result<Vec<TypePtr>>>()?;
    let root = Type::group_type_builder("evaluations")
        .with_fields(fields)
        .build()?;
    Ok(Arc::new(root))
}

/// Writes one column of a group: the values that are there, and which those are.
fn write(target: &mut SerializedColumnWriter<'_>, column: &Column, rows: &[Row<'_>]) -> Result<()> {
    let (mut texts, mut integers, mut reals, mut flags) = (vec![], vec![], vec![], vec![]);
    let mut present = Vec::with_capacity(rows.len());
    for row in rows {
        let is_there = match (column.cell)(row) {
            Cell::Text(None) | Cell::Integer(None) | Cell::Real(None) => false,
            Cell::Text(Some(text)) => {
                texts.push(ByteArray::from(text.as_bytes().to_vec()));
                true
            }
            Cell::Integer(Some(number)) | Cell::Moment(number) => {
                integers.push(number);
                true
            }
            Cell::Real(Some(number)) => {
                reals.push(number);
                true
            }
            Cell::Flag(flag) => {
                flags.push(flag);
                true
            }
        };
        present.push(i16::from(is_there));
    }
    let levels = Some(present.as_slice());
    match column.kind {
        Kind::Text => {
            let target = target.typed::<ByteArrayType>();
            target.write_batch(&texts, levels, None)?;
        }
        Kind::Integer | Kind::Moment => {
            let target = target.typed::<Int64Type>();
            target.write_batch(&integers, levels, None)?;
        }
        Kind::Real => {
            let target = target.typed::<DoubleType>();
            target.write_batch(&reals, levels, None)?;
        }
        Kind::Flag => {
            let target = target.typed::<BoolType>();
            target.write_batch(&flags, levels, None)?;
        }
    }
    Ok(())
}
